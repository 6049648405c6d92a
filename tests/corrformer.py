"""The authors' forecasting network: their names for our pieces, their stations, and the encoder they began with."""

import re
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.correlation.config import CorrelationConfig
from models.correlation.decoder import SeasonalLayerNorm
from models.correlation.decomposition import decompose
from models.correlation.multi_correlation import MultiCorrelation
from models.embeddings.series_norm import SeriesNorm
from models.embeddings.station import StationEmbedding
from models.heads.forecast_decoder import ForecastDecoder
from tests.oracle import Case, uniform

ModuleT = TypeVar("ModuleT", bound=nn.Module)

# In order: a later rule sees what an earlier one wrote.
RENAMED = (
    (r"inner_correlation\.causal_fusion\.network", "causal_fusion"),
    (r"^network\.", ""),
    (r"(query|key|value|out)_projection", r"projections.\1"),
    (r"cross_multi_correlation", "memory_correlation"),
    (r"multi_correlation", "self_correlation"),
    (r"\bconv1\.weight$", "expand.weight"),
    (r"\bconv2\.weight$", "reduce.weight"),
    (r"^decoder\.projection", "decoder.out"),
    (r"\bprojection\.weight$", "trend.weight"),
    (r"\blayernorm\.", ""),
    (r"^decoder", "decoder.decoder"),
    (r"^dec_embedding", "decoder.embedding"),
    (r"^enc_embedding", "embedding"),
    (r"national_embedding\.location_embedding", "position"),
    (r"value_embedding\.tokenConv", "value"),
    (r"temporal_embedding\.embed", "mark"),
    (r"attn_layers", "layers"),
    (r"^affine_", "norm."),
)


def ours(key: str) -> str:
    for theirs, name in RENAMED:
        key = re.sub(theirs, name, key)
    return key


def load(module: ModuleT, case: Case) -> ModuleT:
    """Fill with the weights of a case, every one of which must have its place."""
    expected = module.state_dict()
    weights = {ours(key): value for key, value in case.weights().items()}
    module.load_state_dict({key: value.reshape(expected[key].shape) for key, value in weights.items()})
    return module.eval()


def stations(count: int, per_node: int) -> Tensor:
    """(count / per_node, 3 * per_node): the oracle's places on Earth, standardized over all stations."""
    u = uniform(f"stations/{count}", (count, 3))
    places = np.stack([180 * u[:, 0] - 90, 360 * u[:, 1] - 180, 3000 * u[:, 2] ** 2], axis=1)
    standardized = (places - places.mean(axis=0)) / places.std(axis=0)
    return torch.from_numpy(standardized.astype(np.float32)).reshape(-1, 3 * per_node)


class CorrelationEncoderLayer(nn.Module):
    """(M, L, width) -> the same: seasons only."""

    def __init__(self, config: CorrelationConfig, hidden: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.self_correlation = MultiCorrelation(config)
        self.expand = nn.Linear(config.width, hidden, bias=False)
        self.reduce = nn.Linear(hidden, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = decompose(x + self.self_correlation(x, x), self.window)
        x, _ = decompose(x + self.reduce(F.gelu(self.expand(x))), self.window)
        return x


class CorrelationEncoder(nn.Module):
    """The encoder that UniRepLKNet takes the place of."""

    def __init__(self, config: CorrelationConfig, hidden: int, window: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CorrelationEncoderLayer(config, hidden, window) for _ in range(layers))
        self.norm = SeasonalLayerNorm(config.width)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class AuthorsForecaster(nn.Module):
    """The whole network of an oracle case, around any encoder: (B, T, stations) -> (B, pred_len, stations)."""

    def __init__(self, case: Case, encoder: nn.Module) -> None:
        super().__init__()
        config = case.about["config"]
        self.nodes, self.per_node = config["node_num"], config["c_out"]
        sizes = {name: config[name] for name in ("node_list", "label_len", "pred_len")}
        sizes |= {"width": config["d_model"], "heads": config["n_heads"], "hidden": config["d_ff"]}
        self.norm = SeriesNorm(self.per_node)
        self.embedding = StationEmbedding(self.per_node, config["d_model"])
        self.encoder = encoder
        self.decoder = ForecastDecoder(self.per_node, window=config["moving_avg"], **sizes)

    def forward(self, x: Tensor, marks: Tensor, next_marks: Tensor) -> tuple[Tensor, Tensor]:
        """The forecast, and what the encoder was given: (B * nodes, T, width)."""
        batch, steps, _ = x.shape
        series = x.reshape(batch, steps, self.nodes, self.per_node).transpose(1, 2).flatten(0, 1)
        positions = stations(self.nodes * self.per_node, self.per_node).repeat(batch, 1)
        history, scale = self.norm(series)
        marks, next_marks = (y.repeat_interleave(self.nodes, dim=0) for y in (marks, next_marks))
        embedded = self.embedding(history, marks, positions)
        forecast = self.decoder(self.encoder(embedded), history, next_marks, positions)
        restored = self.norm.restore(forecast, scale)
        return restored.reshape(batch, self.nodes, -1, self.per_node).transpose(1, 2).flatten(2), embedded
