"""The contract of every head."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from models.unireplknet import Features

Row = dict[str, Tensor]  # one sample's outputs, without the batch axis


@dataclass(eq=False)
class InvalidOption(Exception):
    """A request's option that this checkpoint cannot honour."""

    option: str
    detail: str

    def __str__(self) -> str:
        return f"{self.option} {self.detail}"


class Head(nn.Module):
    """Features and the input in, named outputs per sample out; `interpret` turns an input's rows into an answer.

    `forward` sees the input because some answers are given in its units or its size. Heads that also describe their
    input as a vector name that output `embedding`, and set `embeds`.
    """

    result_type: ClassVar[type]
    option_type: ClassVar[type]
    embeds: ClassVar[bool] = False

    def forward(self, features: Features, x: Tensor) -> Row:
        """Outputs with the batch as their first axis."""
        raise NotImplementedError

    def check(self, options: Any) -> None:
        """Raise InvalidOption, before anything is computed, for options that this checkpoint cannot honour."""

    def interpret(self, rows: Sequence[Row], options: Any, context: Any = None) -> Any:
        """The answer, of `result_type`, for checked options and the rows of all views of one input.

        context: what the preprocessor found beside the views, `Sample.context`.
        """
        raise NotImplementedError
