"""Auto-correlation: each series looks at itself and its memory at the lags where they agree (Wu et al. 2021)."""

import math

from torch import Tensor, nn

from models.correlation.config import CorrelationConfig
from models.correlation.lag import advance, correlation
from models.correlation.projections import Projections


class AutoCorrelation(nn.Module):
    """x (M, L, width) and its memory (M, S, width), every series by itself -> (M, L, width)."""

    def __init__(self, config: CorrelationConfig) -> None:
        super().__init__()
        self.factor = config.factor
        self.projections = Projections(config.width, config.heads)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        queries, keys, values = self.projections.split(x, memory)
        return self.projections.merge(aggregate(queries, keys, values, self.factor))


def aggregate(queries: Tensor, keys: Tensor, values: Tensor, factor: int = 1) -> Tensor:
    """Three of (M, heads, L, E) -> values of the int(factor * ln L) strongest lags, advanced by them and averaged.

    Each head chooses its lags; softmax of the correlation weighs them. Advanced, and not delayed, as the authors'
    weights are trained.
    """
    strengths, lags = correlation(queries, keys).topk(lag_count(queries.shape[-2], factor), dim=-1)
    weights = strengths.softmax(dim=-1).to(values.dtype)
    aligned = (
        weight[..., None, None] * advance(values, lag)
        for weight, lag in zip(weights.unbind(dim=-1), lags.unbind(dim=-1), strict=True)
    )
    return sum(aligned, start=values.new_zeros(()))


def lag_count(steps: int, factor: int) -> int:
    """Between 1 and all steps."""
    return min(max(1, int(factor * math.log(steps))), steps)
