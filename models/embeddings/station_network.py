"""A batch of station networks, taken apart: what the embedding and the head of a forecaster both read of it."""

from dataclasses import dataclass

import torch
from torch import Tensor

LATITUDE, LONGITUDE, ELEVATION, SOLAR, HOUR, FACTS = range(6)


@dataclass(frozen=True)
class StationNetwork:
    """Networks of the same tree, c stations a node, T hours of history.

    values: (requests, nodes, T, c), zeros where a station is absent. positions: (requests, nodes, 3 * c), latitude,
    longitude and elevation of one station after the other, standardized. solar: (requests, nodes, c), by how many hours
    the sun is ahead of UTC. hour: (requests,) of the first value, since 1970, an integer. absent: (requests, nodes, c).
    """

    values: Tensor
    positions: Tensor
    solar: Tensor
    hour: Tensor
    absent: Tensor

    @classmethod
    def unpack(cls, x: Tensor, stations: int) -> "StationNetwork":
        """x: (requests, slots, 5 + T) float32: latitude, longitude and elevation, standardized; longitude / 15 degrees;
        hour of the first value; the values. Slots belong to nodes in their order, `stations` each, and those without a
        station are NaN.
        """
        slots = x.reshape(len(x), -1, stations, x.shape[2])
        absent = slots[..., LATITUDE].isnan()
        slots = slots.masked_fill(absent.unsqueeze(-1), 0.0)
        hour = (
            x[:, :, HOUR].nan_to_num(0.0).amax(dim=1)
        )  # equal for all stations, and those absent come later than none
        positions = slots[..., LATITUDE : ELEVATION + 1].flatten(2)
        return cls(slots[..., FACTS:].transpose(2, 3), positions, slots[..., SOLAR], hour.long(), absent)

    @property
    def absent_nodes(self) -> Tensor:
        """(requests, nodes): those without any station."""
        return self.absent.all(dim=2)

    @property
    def steps(self) -> int:
        return self.values.shape[2]

    def hours(self, first: int, last: int) -> Tensor:
        """(requests, last - first) hours since 1970, from `first` to before `last` hours after the history begins."""
        return self.hour.unsqueeze(1) + torch.arange(first, last, device=self.hour.device)
