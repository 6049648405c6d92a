"""The contract of every postprocessor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Row = dict[str, NDArray[np.float32]]  # one sample's outputs, without the batch axis


def samples(batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Views of a batch, along its first axis; of a batch of numbers, arrays without an axis."""
    return [batch[place, ...] for place in range(len(batch))]


def rows_of(columns: Mapping[str, Sequence[NDArray[np.float32]]]) -> list[Row]:
    """columns: by name, an array for every sample."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


@dataclass(eq=False)
class InvalidOption(Exception):
    """A request's option that this checkpoint cannot honour."""

    option: str
    detail: str

    def __str__(self) -> str:
        return f"{self.option} {self.detail}"


class Postprocessor:
    """Turns the rows of an input into an answer. Its head makes it, and it travels where the weights do not.

    head: the class whose rows it reads, as "module:class", for importing it brings torch. embeds: whether they hold a
    vector that describes the input, `embedding`.
    """

    head: ClassVar[str]
    result_type: ClassVar[type]
    option_type: ClassVar[type]
    embeds: ClassVar[bool] = False

    def check(self, options: Any) -> None:
        """Raise InvalidOption, before anything is computed, for options that this checkpoint cannot honour."""

    def interpret(self, rows: Sequence[Row], options: Any, context: Any = None) -> Any:
        """The answer, of `result_type`, for checked options and the rows of all views of one input.

        context: what the preprocessor found beside the views, `Sample.context`.
        """
        raise NotImplementedError
