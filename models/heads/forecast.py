"""Forecasts: stage-4 maps as tokens of every node, decoded into the coming hours, in the units that came in."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from models.embeddings.series_norm import SeriesNorm
from models.embeddings.station_network import StationNetwork
from models.embeddings.time_marks import time_marks
from models.heads.base import Head, Outputs
from models.heads.forecast_decoder import ForecastDecoder
from models.heads.tree_linear import TreeLinear
from models.postprocessors.forecast import ForecastPostprocessor
from models.unireplknet import Features


class ForecastHead(Head):
    """stations, node_list, label_len and the rest: see ForecastDecoder; `width` is that of the stage-4 map.

    history: hours, T. tree_linear: adds a linear forecast, see TreeLinear; the authors have none. Rows hold `forecast`
    (slots, pred_len), in the unit of the input; what is in the slots of absent stations means nothing.
    """

    def __init__(
        self,
        stations: int = 11,
        node_list: Sequence[int] = (7, 50),
        history: int = 48,
        label_len: int = 24,
        pred_len: int = 24,
        tree_linear: bool = False,
        **decoder: Any,
    ) -> None:
        super().__init__()
        self.postprocessor = ForecastPostprocessor()
        self.per_node = stations
        self.pred_len = pred_len
        self.norm = SeriesNorm(stations)
        self.decoder = ForecastDecoder(stations, node_list, label_len, pred_len, **decoder)
        self.linear = TreeLinear(node_list, history, pred_len) if tree_linear else None
        if tree_linear:  # what the decoder adds to it is nothing, to begin with
            self.decoder.decoder.silence()

    def forward(self, features: Features, x: Tensor) -> Outputs:
        network = StationNetwork.unpack(x, self.per_node)
        nodes = network.absent_nodes
        history = network.values.flatten(0, 1)
        normalized, scale = self.norm(history)
        normalized = normalized.masked_fill(network.absent.flatten(0, 1).unsqueeze(1), 0)
        marks = time_marks(network.hours(network.steps - self.decoder.label_len, network.steps + self.pred_len))
        marks = marks.repeat_interleave(nodes.shape[1], dim=0)
        tokens = node_tokens(features[-1], nodes)
        inputs = (y.to(tokens.dtype) for y in (normalized, marks, network.positions.flatten(0, 1)))
        forecast = self.norm.restore(self.decoder(tokens, *inputs, nodes), scale)
        if self.linear is not None:
            centred = network.values - scale.mean.reshape(*nodes.shape, 1, -1)
            hours = network.solar + network.hour.view(-1, 1, 1)
            forecast = forecast + self.linear(centred, network.absent, hours).flatten(0, 1)
        return {"forecast": forecast.transpose(1, 2).reshape(len(x), -1, self.pred_len)}


def node_tokens(maps: Tensor, absent: Tensor) -> Tensor:
    """Maps (present nodes, C, H, W) -> tokens (requests * nodes, H * W, C) row by row; zeros for the absent nodes."""
    tokens = maps.flatten(2).transpose(1, 2)
    places = absent.flatten().logical_not().nonzero().flatten()
    full = tokens.new_zeros(absent.numel(), *tokens.shape[1:])
    return full.index_copy(0, places, tokens)
