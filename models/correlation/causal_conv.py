"""A temporal convolutional network (Bai et al. 2018) along a sequence of nodes: each sees only those before it."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KERNEL_SIZE = 3
RELU_GAIN = math.sqrt(2)  # of a fresh filter: what passes a ReLU keeps its size (He et al. 2015)


class CausalConv1d(nn.Module):
    """(N, channels, length) -> the same shape; output i sees inputs up to i.

    Each filter is weight_g * weight_v / ||weight_v|| (weight normalization, Salimans and Kingma 2016). Both are plain
    parameters, since a parametrized module cannot be pickled.
    """

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation
        self.weight_v = nn.Parameter(torch.empty(channels, channels, KERNEL_SIZE))
        nn.init.uniform_(self.weight_v, -1, 1)
        self.weight_g = nn.Parameter(torch.full((channels, 1, 1), RELU_GAIN))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        norms = torch.linalg.vector_norm(self.weight_v, dim=(1, 2), keepdim=True)
        weight = self.weight_v * (self.weight_g / norms)
        before = self.dilation * (KERNEL_SIZE - 1)
        return F.conv1d(F.pad(x, (before, 0)), weight, self.bias, dilation=self.dilation)


class CausalBlock(nn.Module):
    """Two causal convolutions with a skip around both: (N, channels, length) -> the same shape."""

    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = CausalConv1d(channels, dilation)
        self.conv2 = CausalConv1d(channels, dilation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(F.relu(self.conv1(x)))
        y = self.dropout(F.relu(self.conv2(y)))
        return F.relu(x + y)


def causal_network(channels: int, blocks: int, dropout: float) -> nn.Sequential:
    """Blocks whose reach grows threefold from one to the next."""
    return nn.Sequential(*(CausalBlock(channels, KERNEL_SIZE**i, dropout) for i in range(blocks)))
