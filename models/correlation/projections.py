"""What both correlations share with attention: maps to queries, keys and values of several heads, and back."""

import torch.nn.functional as F
from torch import Tensor, nn

Split = tuple[Tensor, Tensor, Tensor]


class Projections(nn.Module):
    """Linear maps of series (..., L, width) to heads (..., heads, L, width / heads), and back."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def split(self, x: Tensor, memory: Tensor) -> Split:
        """Queries of x (..., L, width); keys and values of memory (..., S, width), zero-padded or cut to L steps."""
        missing = x.shape[-2] - memory.shape[-2]
        keys, values = (F.pad(project(memory), (0, 0, 0, missing)) for project in (self.key, self.value))
        return self._heads(self.query(x)), self._heads(keys), self._heads(values)

    def merge(self, x: Tensor) -> Tensor:
        """(..., heads, L, width / heads) -> (..., L, width)."""
        return self.out(x.transpose(-2, -3).flatten(-2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(-2, -3)
