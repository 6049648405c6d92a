"""A data set that is drawn anew every epoch."""

from typing import Any, Protocol

from torch import Tensor


class EpochDataset(Protocol):
    """A dataset whose chance is a function of its epoch."""

    epoch: int

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> tuple[Tensor, Any]: ...
