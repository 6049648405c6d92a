"""Stations of a weather network -> tokens in time, and the tokens as an image (paper section 3.3, time series)."""

import math

from torch import Tensor, nn

from models.correlation.circular_conv import CircularConv1d

MARKS = 4
AXES = 3


class StationEmbedding(nn.Module):
    """Series of the stations of one node -> (M, L, width) tokens, one per step of time.

    values: (M, L, stations), normalized. marks: (M, L, 4), as `time_marks` gives them. positions: (M, 3 * stations),
    latitude, longitude and elevation of one station after the other, each axis of mean 0 and deviation 1 over all.
    """

    def __init__(self, stations: int, width: int, dropout: float = 0.05) -> None:
        super().__init__()
        self.value = CircularConv1d(stations, width)
        self.mark = nn.Linear(MARKS, width, bias=False)
        self.position = nn.Linear(AXES * stations, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, marks: Tensor, positions: Tensor) -> Tensor:
        return self.dropout(self.value(values) + self.mark(marks) + self.position(positions).unsqueeze(1))


def to_map(tokens: Tensor) -> Tensor:
    """(M, L, D) -> (M, 1, H, W), read row by row: H * W = L * D, the squarest there is, H <= W."""
    height, width = map_size(*tokens.shape[1:])
    return tokens.reshape(len(tokens), 1, height, width)


def map_size(steps: int, width: int) -> tuple[int, int]:
    """(48, 768) -> (192, 192)."""
    size = steps * width
    height = next(side for side in range(math.isqrt(size), 0, -1) if size % side == 0)
    return height, size // height
