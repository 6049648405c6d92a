"""The decoder (Corrformer after Autoformer): seasons are refined by correlation, trends split off are added up."""

import torch.nn.functional as F
from torch import Tensor, nn

from models.correlation.circular_conv import CircularConv1d
from models.correlation.config import CorrelationConfig
from models.correlation.decomposition import decompose
from models.correlation.multi_correlation import MultiCorrelation


class SeasonalLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of (M, L, C), less its mean over time: seasons have no level."""

    def forward(self, x: Tensor) -> Tensor:
        normalized = super().forward(x)
        return normalized - normalized.mean(dim=1, keepdim=True)


class DecoderLayer(nn.Module):
    """Seasons (M, L, width) and memory (M, S, width) -> (seasons (M, L, width), trend (M, L, out_chans)).

    Correlation with itself, with the memory, and a feed-forward network of `hidden` channels; the trend over `window`
    steps, an odd number, is split off after each.
    """

    def __init__(self, config: CorrelationConfig, hidden: int, out_chans: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.self_correlation = MultiCorrelation(config)
        self.memory_correlation = MultiCorrelation(config)
        self.expand = nn.Linear(config.width, hidden, bias=False)
        self.reduce = nn.Linear(hidden, config.width, bias=False)
        self.trend = CircularConv1d(config.width, out_chans)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, memory: Tensor, absent: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, first = decompose(x + self.dropout(self.self_correlation(x, x, absent)), self.window)
        x, second = decompose(x + self.dropout(self.memory_correlation(x, memory, absent)), self.window)
        x, third = decompose(x + self.feed_forward(x), self.window)
        return x, self.trend(first + second + third)

    def feed_forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.reduce(self.dropout(F.gelu(self.expand(x)))))


class Decoder(nn.Module):
    """Layers in turn: (seasons (M, L, width), trend (M, L, out_chans), memory (M, S, width)) -> (M, L, out_chans)."""

    def __init__(self, config: CorrelationConfig, hidden: int, out_chans: int, window: int, layers: int = 1) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config, hidden, out_chans, window) for _ in range(layers))
        self.norm = SeasonalLayerNorm(config.width)
        self.out = nn.Linear(config.width, out_chans)

    def silence(self) -> None:
        """From now on it adds nothing to the trend that it is given, until it learns to."""
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        for layer in self.layers:
            assert isinstance(layer, DecoderLayer)
            nn.init.zeros_(layer.trend.weight)

    def forward(self, x: Tensor, trend: Tensor, memory: Tensor, absent: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            x, change = layer(x, memory, absent)
            trend = trend + change
        return trend + self.out(self.norm(x))
