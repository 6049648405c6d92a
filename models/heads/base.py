"""The contract of every head."""

from torch import Tensor, nn

from models.postprocessors.base import Postprocessor
from models.unireplknet import Features

Outputs = dict[str, Tensor]  # by name, the batch as their first axis


class Head(nn.Module):
    """Features and the input in, named outputs out; the postprocessor turns a sample's row of them into an answer.

    `forward` sees the input because some answers are given in its units or its size.
    """

    postprocessor: Postprocessor

    def forward(self, features: Features, x: Tensor) -> Outputs:
        raise NotImplementedError
