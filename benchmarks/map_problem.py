"""A map of features that a depthwise kernel passes over."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class MapProblem:
    """(n, channels, side, side), and a size x size kernel."""

    n: int
    channels: int
    side: int
    size: int
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.n}x{self.channels}x{self.side}x{self.side} K{self.size} {str(self.dtype).partition('.')[2]}"

    @property
    def elements(self) -> int:
        return self.n * self.channels * self.side**2
