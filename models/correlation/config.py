"""The sizes that all correlations of a network share."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CorrelationConfig:
    """Sizes of a multi-correlation; the defaults are the authors' decoder for 3,850 stations.

    node_list: branches at every level of the tree, from its root. steps: L, the length of the series in time. factor:
    lags followed, times ln L in auto-correlation. fusion_blocks: of causal convolutions over siblings.
    """

    width: int = 768
    heads: int = 16
    node_list: tuple[int, ...] = (7, 50)
    steps: int = 48
    factor: int = 1
    fusion_blocks: int = 1
    dropout: float = 0.05

    def __post_init__(self) -> None:
        # A checkpoint stores JSON, which has lists only.
        object.__setattr__(self, "node_list", tuple(self.node_list))
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        if not 1 <= self.factor <= self.steps:
            raise ValueError(f"factor {self.factor} must be from 1 to the {self.steps} steps there are")

    @property
    def fusion_width(self) -> int:
        """Channels of the causal convolutions: one head of one sibling, all steps."""
        return self.width // self.heads * self.steps
