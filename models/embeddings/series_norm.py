"""Series of any level and spread made alike, and back (reversible instance normalization, Kim et al. 2022)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

VARIANCE_EPS = 1e-5
SCALE_EPS = 1e-10


@dataclass(frozen=True)
class SeriesScale:
    """What was taken from each series: both (M, 1, C), in its own units."""

    mean: Tensor
    deviation: Tensor


def standardize(x: Tensor) -> tuple[Tensor, SeriesScale]:
    """(M, L, C) -> every series with mean 0 and deviation 1 over time, in float32; and what was taken from it."""
    variance, mean = torch.var_mean(x.float(), dim=1, keepdim=True, correction=0)
    scale = SeriesScale(mean, (variance + VARIANCE_EPS).sqrt())
    return (x - mean) / scale.deviation, scale


class SeriesNorm(nn.Module):
    """Every series to mean 0 and deviation 1 over time, then a learned scale and shift per station of a node.

    channels: stations per node; all nodes share the learned numbers. Computed in float32: the raw values of a quiet
    series differ by less than half precision resolves.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> tuple[Tensor, SeriesScale]:
        """(M, L, C) -> the same normalized, and the scale that `restore` needs."""
        standardized, scale = standardize(x)
        return (standardized * self.weight + self.bias).to(x.dtype), scale

    def restore(self, x: Tensor, scale: SeriesScale) -> Tensor:
        """(M, any length, C) normalized -> in the units of the series, float32."""
        normalized = (x - self.bias).float() / (self.weight + SCALE_EPS)
        return normalized * scale.deviation + scale.mean
