"""A network of weather stations as one-channel maps, one per node (paper section 3.3, time series)."""

from torch import Tensor, nn

from models.embeddings.series_norm import standardize
from models.embeddings.station import StationEmbedding, to_map
from models.embeddings.station_network import StationNetwork
from models.embeddings.time_marks import time_marks


class StationMaps(nn.Module):
    """x as `StationNetwork.unpack` takes it -> (present nodes of all requests, 1, H, W) with H * W = T * width.

    Series are standardized without a learned scale and shift: the convolution behind holds both. Nodes without any
    station are left out.
    """

    def __init__(self, stations: int, width: int, dropout: float = 0.05) -> None:
        super().__init__()
        self.per_node = stations
        self.stations = StationEmbedding(stations, width, dropout)

    def forward(self, x: Tensor) -> Tensor:
        network = StationNetwork.unpack(x, self.per_node)
        present = ~network.absent_nodes
        dtype = self.stations.position.weight.dtype
        marks = time_marks(network.hours(0, network.steps)).unsqueeze(1).expand(-1, present.shape[1], -1, -1)
        series, _ = standardize(network.values[present])
        return to_map(self.stations(series.to(dtype), marks[present].to(dtype), network.positions[present].to(dtype)))
