"""The contract of every head."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from models.unireplknet import Features


class Head(nn.Module):
    """Features and the input in, one row per sample out; `interpret` turns a row into the task's answer.

    `forward` sees the input because some answers are given in its units or its size. Rows are what the predictor
    splits a batch into: a dict of tensors without the batch axis.
    """

    result_type: ClassVar[type]
    option_type: ClassVar[type]

    def forward(self, features: Features, x: Tensor) -> dict[str, Tensor]:
        raise NotImplementedError

    def interpret(self, row: dict[str, Tensor], options: Any) -> Any:
        """The answer of `result_type` for one row, given validated options of `option_type`."""
        raise NotImplementedError


@dataclass(frozen=True)
class InvalidOption(Exception):
    """A request's option that this head's checkpoint cannot honour."""

    option: str
    detail: str

    def __str__(self) -> str:
        return f"{self.option}: {self.detail}"
