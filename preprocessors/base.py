"""The contract of every preprocessor, and the ways it refuses a payload.

Decode workers import this file, and must start fast and stay small: torch is imported only where a batch is made.
"""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, dtype

    Empty = Callable[[Sequence[int], dtype], Tensor]

WRONG_MODEL = "wrong_model"  # the code of an input that another model of the same task may be made for


@dataclass(eq=False)
class PayloadError(Exception):
    """A payload that is refused. `code` is stable, for programs; `detail` names the value, the limit and the remedy."""

    code: str
    detail: str
    limit: float | None = None
    actual: float | None = None

    def __str__(self) -> str:
        return self.detail

    def __reduce__(self) -> tuple[type["PayloadError"], tuple[Any, ...]]:
        # Exception pickles its positional arguments alone, and would lose the ones given by keyword on the way home
        return type(self), tuple(getattr(self, item.name) for item in fields(self))


class UnsupportedFormat(PayloadError):
    """The bytes are of no format that this preprocessor reads."""


class UndecodableInput(PayloadError):
    """The format is known, but the bytes are broken."""


class TooLarge(PayloadError):
    """The payload declares more than a limit allows; found before the memory for it is spent."""


Array = NDArray[Any]


@dataclass(frozen=True)
class Sample:
    """What a decode worker hands back: compact arrays, and a description of the input for the answer.

    Each view (a window of a recording, a clip of a video) passes the model by itself; most inputs have one. Where there
    are several, `description["views"]` says of each what it is, in the same order.

    context: what the answer needs of the input beside the views, where the preprocessor and the head of a task agree on
    something, such as units; it travels past the model.
    """

    views: tuple[Array, ...]
    description: dict[str, Any] = field(default_factory=dict)
    context: Any = None

    @property
    def array(self) -> Array:
        """The first view, and mostly the only one."""
        return self.views[0]

    @property
    def mean_elements(self) -> float:
        """Numbers in a view."""
        return sum(view.size for view in self.views) / len(self.views)


OptionsT = TypeVar("OptionsT")


class Preprocessor(Generic[OptionsT]):
    """bytes -> Sample -> batch. Subclasses are frozen dataclasses whose fields travel in the checkpoint.

    `decode` faces hostile bytes with C libraries and runs in a killable worker process. `transform` is trusted,
    has no weights, and runs batched where the model is.
    """

    modality: ClassVar[str]
    media_types: ClassVar[tuple[str, ...]]
    option_type: ClassVar[type]

    @cached_property
    def packed(self) -> bytes:
        """For decode workers, which unpack it once and keep what it has worked out; not once for every file."""
        return pickle.dumps(self)

    def decode(self, payload: bytes, options: OptionsT) -> Sample:
        """Raises PayloadError, and nothing else, for bytes that cannot be used."""
        raise NotImplementedError

    def blank(self) -> Array:
        """A view of the right shape, to warm a model up with."""
        raise NotImplementedError

    def example(self) -> bytes | None:
        """A small file that it reads. Every decode worker tries it before the first one comes, which would take several
        times as long as those after it. None where there is no such file.
        """
        return None

    def collate(self, views: Sequence[Array], empty: "Empty | None" = None) -> "Tensor":
        """Stack views on a new first axis, on the CPU, in their dtype. empty: makes the memory that they are put in."""
        import torch

        if empty is None:
            return torch.from_numpy(np.stack(views))
        batch = empty((len(views), *views[0].shape), torch.from_numpy(np.empty(0, views[0].dtype)).dtype)
        np.stack(views, out=batch.numpy())
        return batch

    def transform(self, batch: "Tensor") -> "Tensor":
        """The model's float32 input for a collated batch, on the batch's device."""
        raise NotImplementedError
