"""Cross-correlation: siblings of a tree told apart by when the same weather reaches them (Corrformer, section 4.2)."""

import torch
from torch import Tensor, nn

from models.correlation.causal_conv import causal_network
from models.correlation.config import CorrelationConfig
from models.correlation.lag import advance, correlation
from models.correlation.projections import Projections


class CrossCorrelation(nn.Module):
    """x (groups, n, L, width) and memory (groups, n, S, width) -> (groups, n, L, width); groups never mix.

    A sibling's lag is how many steps, on the circle, it is ahead of the group's mean. Each is delayed by its lag, all
    are fused by causal convolutions along the order of their lags, and each is brought back to its own time. Of several
    lags per sibling and head, each is followed by itself, and the results are added.

    absent: (groups, n); such a sibling is left out of the group's mean and comes last in the causal order, as zeros, so
    no other sees it. Its own output means nothing.
    """

    def __init__(self, config: CorrelationConfig) -> None:
        super().__init__()
        self.factor = config.factor
        self.projections = Projections(config.width, config.heads)
        self.causal_fusion = causal_network(config.fusion_width, config.fusion_blocks, config.dropout)

    def forward(self, x: Tensor, memory: Tensor, absent: Tensor | None = None) -> Tensor:
        queries, keys, values = self.projections.split(x, memory)
        pivot = present_mean(queries, absent, dim=1).unsqueeze(1)
        strengths, lags = (y.permute(0, 2, 3, 1) for y in correlation(pivot, keys).topk(self.factor, dim=-1))
        aligned = advance(values.transpose(1, 2).unsqueeze(2), -lags)  # (groups, heads, factor, n, L, E)
        aligned = aligned * strengths.sigmoid().to(values.dtype)[..., None, None]
        if absent is not None:
            aligned = aligned.masked_fill(absent[:, None, None, :, None, None], 0)
        fused = self.fuse_siblings(aligned, causal_order(lags, x.shape[2], absent))
        return self.projections.merge(advance(fused, lags).sum(dim=2).transpose(1, 2))

    def fuse_siblings(self, x: Tensor, order: Tensor) -> Tensor:
        """(groups, heads, factor, n, L, E), order (groups, heads, factor, n) -> the shape of x, in its own order.

        The channels of the convolutions are all steps of the first of E, then of the second: the order of the weights.
        """
        by_channel = x.transpose(-1, -2)
        sequence = by_channel.flatten(-2).take_along_dim(order.unsqueeze(-1), dim=3)
        fused = self.causal_fusion(sequence.flatten(0, 2).transpose(1, 2)).transpose(1, 2).reshape(sequence.shape)
        back = order.argsort(dim=-1).unsqueeze(-1)
        return fused.take_along_dim(back, dim=3).reshape(by_channel.shape).transpose(-1, -2)


def causal_order(lags: Tensor, steps: int, absent: Tensor | None) -> Tensor:
    """lags (groups, heads, factor, n) -> permutation of n, the largest lag first but 0 last, ties as they stand."""
    delays = steps - lags
    if absent is not None:
        delays = delays + (steps + 1) * absent[:, None, None]
    return delays.argsort(dim=-1, stable=True)


def present_mean(x: Tensor, absent: Tensor | None, dim: int) -> Tensor:
    """Mean over `dim`, without those marked absent; zero where all are. absent has the leading axes of x."""
    if absent is None:
        return x.mean(dim=dim)
    absent = absent.reshape(absent.shape + (1,) * (x.ndim - absent.ndim))
    present = torch.sum(~absent, dim=dim).clamp(min=1)
    return x.masked_fill(absent, 0).sum(dim=dim) / present
