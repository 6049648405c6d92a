"""A window of a weather archive: some hours of history, as the server would see them, and the hours after them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from preprocessors.histories.arrangement import Indices
from preprocessors.histories.station import Stations
from preprocessors.weather import WeatherPreprocessor, view
from training.weather_archive import Archive


@dataclass(frozen=True)
class Window:
    """history: (T, n), whole. targets: (horizon, n), NaN where nothing was measured. hour: of the first row."""

    history: NDArray[np.float32]
    targets: NDArray[np.float32]
    stations: Stations
    hour: int

    @classmethod
    def cut(cls, archive: Archive, row: int, history: int, horizon: int) -> "Window":
        """Of the stations whose history is known there."""
        seen = archive.filled[row : row + history]
        usable = np.flatnonzero(~np.isnan(seen).any(axis=0))
        targets = archive.values[row + history : row + history + horizon]
        return cls(seen[:, usable], targets[:, usable], subset(archive.stations, usable), archive.first + row)

    def of(self, chosen: Indices) -> "Window":
        """The same hours of some of its stations."""
        stations = subset(self.stations, chosen)
        return Window(self.history[:, chosen], self.targets[:, chosen], stations, self.hour)


def subset(stations: Stations, chosen: Indices) -> Stations:
    ids = tuple(stations.ids[i] for i in chosen)
    return Stations(
        ids, stations.latitude[chosen], stations.longitude[chosen], stations.elevation[chosen], stations.named
    )


def slotted(window: Window, preprocessor: WeatherPreprocessor) -> list[tuple[Tensor, Tensor]]:
    """Views, (slots, 5 + T), with what came, (slots, horizon), NaN where it is not known."""
    rows, targets = preprocessor.rows(window.history, window.hour, window.stations), window.targets.T
    places = preprocessor.slots(window.stations)
    return [(torch.from_numpy(view(rows, slots)), torch.from_numpy(view(targets, slots))) for slots in places]


def padded(preprocessor: WeatherPreprocessor, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Both with as many slots as the tree has, NaN in those that are empty."""
    missing = preprocessor.tree.capacity - len(x)
    return tuple(torch.nn.functional.pad(y, (0, 0, 0, missing), value=torch.nan) for y in (x, targets))  # type: ignore[return-value]
