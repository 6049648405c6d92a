"""The coming steps of normalized series, from what the backbone saw of them (paper section 3.3; Corrformer)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.correlation.config import CorrelationConfig
from models.correlation.decoder import Decoder
from models.correlation.decomposition import decompose
from models.embeddings.station import StationEmbedding


class ForecastDecoder(nn.Module):
    """tokens (M, S, width) and history (M, T, stations) -> (M, pred_len, stations), normalized as the history is.

    M folds the nodes of all requests, prod(node_list) each. marks: (M, label_len + pred_len, 4), of the history's last
    label_len steps and of those to forecast. positions: (M, 3 * stations), as StationEmbedding takes them. absent:
    (requests, nodes), true for nodes that only fill up the tree: they change no other node.

    window: steps of the moving average, odd. The defaults are the authors' for 3,850 stations.
    """

    def __init__(
        self,
        stations: int = 11,
        node_list: Sequence[int] = (7, 50),
        label_len: int = 24,
        pred_len: int = 24,
        width: int = 768,
        heads: int = 16,
        hidden: int = 2048,
        window: int = 25,
        layers: int = 1,
        factor: int = 1,
        fusion_blocks: int = 1,
        dropout: float = 0.05,
    ) -> None:
        super().__init__()
        if window % 2 == 0:
            raise ValueError(f"window {window} has no middle: choose an odd number of steps")
        self.label_len = label_len
        self.pred_len = pred_len
        self.window = window
        self.embedding = StationEmbedding(stations, width, dropout)
        steps = label_len + pred_len
        config = CorrelationConfig(width, heads, tuple(node_list), steps, factor, fusion_blocks, dropout)
        self.decoder = Decoder(config, hidden, stations, window, layers)

    def forward(
        self, tokens: Tensor, history: Tensor, marks: Tensor, positions: Tensor, absent: Tensor | None = None
    ) -> Tensor:
        seasonal, trend = self.start(history)
        series = self.decoder(self.embedding(seasonal, marks, positions), trend, tokens, absent)
        return series[:, -self.pred_len :]

    def start(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """(M, T, C) -> (seasonal, trend), both (M, label_len + pred_len, C): the end of the history, then a guess.

        The guess is a season of zeros about the history's mean.
        """
        seasonal, trend = (part[:, -self.label_len :] for part in decompose(history, self.window))
        mean = history.mean(dim=1, keepdim=True).expand(-1, self.pred_len, -1)
        return F.pad(seasonal, (0, 0, 0, self.pred_len)), torch.cat([trend, mean], dim=1)
