"""Multi-correlation: in time within every node, in space along the tree (Corrformer, section 4.1)."""

import math

import torch
from torch import Tensor, nn

from models.correlation.auto_correlation import AutoCorrelation
from models.correlation.config import CorrelationConfig
from models.correlation.cross_correlation import CrossCorrelation, present_mean


class MultiCorrelation(nn.Module):
    """x (M, L, width) and memory (M, S, width) -> (M, L, width): auto- plus cross-correlation, the mean of all levels.

    At one level of the tree, all that hangs below a branch is averaged; the branches of one parent are siblings, and
    the answer of a branch is given to all below it. One set of weights serves all levels, and any number of siblings.

    absent: (requests, nodes); such a node counts in no average, a branch without any other node is absent itself, and
    what is at absent nodes changes no other node. The root has as many branches as these nodes fill.
    """

    def __init__(self, config: CorrelationConfig) -> None:
        super().__init__()
        self.node_list = config.node_list
        self.auto_correlation = AutoCorrelation(config)
        self.cross_correlation = CrossCorrelation(config)

    def forward(self, x: Tensor, memory: Tensor, absent: Tensor | None = None) -> Tensor:
        tree = self.tree(absent)
        levels = [self.correlate_siblings(tree[i:], x, memory, absent) for i in range(len(tree))]
        return self.auto_correlation(x, memory) + torch.stack(levels).mean(dim=0)

    def tree(self, absent: Tensor | None) -> tuple[int, ...]:
        if absent is None:
            return self.node_list
        below = self.node_list[1:]
        return (absent.shape[1] // math.prod(below), *below)

    def correlate_siblings(self, tree: tuple[int, ...], x: Tensor, memory: Tensor, absent: Tensor | None) -> Tensor:
        siblings, below = tree[0], math.prod(tree[1:])
        missing = None if absent is None else absent.reshape(-1, siblings, below)
        trees = (series.reshape(-1, siblings, below, *series.shape[1:]) for series in (x, memory))
        x, memory = (present_mean(tree, missing, dim=2) for tree in trees)
        fused = self.cross_correlation(x, memory, None if missing is None else missing.all(dim=2))
        return fused.flatten(0, 1).repeat_interleave(below, dim=0)
