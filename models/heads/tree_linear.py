"""A linear forecast of every station from itself and from the means of the stations around it, level by level."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.correlation.cross_correlation import present_mean

HOURS = 24


class TreeLinear(nn.Module):
    """Series less their means (B, nodes, T, c) -> the coming hours, less the same means, (B, nodes, pred_len, c).

    A matrix for every solar hour of the beginning (after Zeng et al. 2023), of each station's series and of how the
    mean of its node, of every branch above it and of the network differ from it: stations that nobody surrounds are
    forecast from themselves. Linear, and without a constant: it knows no units. history: T, at least 24.

    absent: (B, nodes, c). hours: (B, nodes, c), UTC hour of the first value plus longitude / 15 degrees.
    """

    def __init__(self, node_list: Sequence[int], history: int, pred_len: int) -> None:
        super().__init__()
        self.below = tuple(node_list)[1:]
        # It begins as the same hour of the last day. By numpy: a constructor may run where tensors hold nothing
        last_day = np.arange(pred_len) % HOURS + history - HOURS
        weight = np.zeros((HOURS, pred_len, len(node_list) + 2, history), np.float32)
        weight[:, :, 0] = np.arange(history) == last_day[:, None]
        self.weight = nn.Parameter(torch.from_numpy(weight))

    def forward(self, series: Tensor, absent: Tensor, hours: Tensor) -> Tensor:
        seen = self.levels(series, absent).flatten(0, 2)
        forecast = torch.einsum("splt,slt->sp", self.weight.float()[self.hour(hours).flatten()], seen)
        return forecast.reshape(*absent.shape, -1).transpose(2, 3)

    def levels(self, series: Tensor, absent: Tensor) -> Tensor:
        """(B, nodes, c, levels, T): the station, then its node, branches and network, each less the station."""
        own = series.transpose(2, 3)
        means = [present_mean(own, absent, dim=2).unsqueeze(2)]
        counts = (~absent).sum(dim=2, keepdim=True)
        for below in self._sizes(absent.shape[1]):
            means.append(group_mean(means[0], counts, below))
        differences = (mean - own for mean in (mean.expand_as(own) for mean in means))
        return torch.stack([own, *differences], dim=3)

    def _sizes(self, nodes: int) -> list[int]:
        """Nodes below a branch of every level, from the leaves to the root."""
        sizes = np.cumprod(self.below[::-1], dtype=int).tolist()
        return [*sizes, nodes]

    @staticmethod
    def hour(hours: Tensor) -> Tensor:
        """Which matrix is used."""
        return torch.floor(hours).long() % HOURS


def group_mean(means: Tensor, counts: Tensor, size: int) -> Tensor:
    """Means of nodes (B, nodes, 1, T), of so many stations each (B, nodes, 1), over groups of so many nodes."""
    weighted = (means * counts.unsqueeze(3)).unflatten(1, (-1, size)).sum(dim=2)  # type: ignore[no-untyped-call]
    total = counts.unsqueeze(3).unflatten(1, (-1, size)).sum(dim=2).clamp(min=1)  # type: ignore[no-untyped-call]
    return (weighted / total).repeat_interleave(size, dim=1)
