"""Windows of an archive: some hours of history, as the server would see them, and the hours that came after."""

import random
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from preprocessors.histories.arrangement import Indices
from preprocessors.histories.station import Stations
from preprocessors.weather import DEGREES_PER_HOUR, WeatherPreprocessor, view
from training.weather_archive import Archive

HALF_YEAR = 24 * 183


@dataclass(frozen=True)
class Window:
    """history: (T, n), whole. coming: (horizon, n), NaN where nothing was measured. hour: of the first row."""

    history: NDArray[np.float32]
    coming: NDArray[np.float32]
    stations: Stations
    hour: int

    @classmethod
    def cut(cls, archive: Archive, row: int, history: int, horizon: int) -> "Window":
        """Of the stations whose history is known there."""
        seen = archive.filled[row : row + history]
        usable = np.flatnonzero(~np.isnan(seen).any(axis=0))
        coming = archive.values[row + history : row + history + horizon]
        return cls(seen[:, usable], coming[:, usable], subset(archive.stations, usable), archive.first + row)


def subset(stations: Stations, chosen: Indices) -> Stations:
    ids = tuple(stations.ids[i] for i in chosen)
    return Stations(
        ids, stations.latitude[chosen], stations.longitude[chosen], stations.elevation[chosen], stations.named
    )


def slotted(window: Window, preprocessor: WeatherPreprocessor) -> list[tuple[Tensor, Tensor]]:
    """Views, (slots, 5 + T), with what came, (slots, horizon), NaN where it is not known."""
    rows, coming = preprocessor.rows(window.history, window.hour, window.stations), window.coming.T
    places = preprocessor.slots(window.stations)
    return [(torch.from_numpy(view(rows, slots)), torch.from_numpy(view(coming, slots))) for slots in places]


class TrainingWindows(Dataset[tuple[Tensor, Tensor]]):
    """A window of every `stride` hours, begun at any hour, of a random part of the network.

    whole: share of the windows that keep all stations; of the others, the nearest to one of them stay, or any.
    moved: share of the windows that are moved elsewhere on Earth: along a parallel with the sun, and half of those to
    the other hemisphere with the season. Set `epoch` first; chance is a function of seed, epoch and index.
    """

    def __init__(
        self, archive: Archive, preprocessor: WeatherPreprocessor, stride: int, whole: float, moved: float, seed: int
    ) -> None:
        self.archive, self.preprocessor, self.stride = archive, preprocessor, stride
        self.whole, self.moved, self.seed = whole, moved, seed
        self.epoch = 0
        self.rows = len(archive.values) - preprocessor.history - preprocessor.horizon + 1

    def __len__(self) -> int:
        return max(1, self.rows // self.stride)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = random.Random(f"{self.seed} {self.epoch} {index}")
        row = min(self.rows - 1, index * self.stride + rng.randrange(self.stride))
        window = Window.cut(self.archive, row, self.preprocessor.history, self.preprocessor.horizon)
        chosen = self.chosen(window.stations, rng)
        part = Window(window.history[:, chosen], window.coming[:, chosen], subset(window.stations, chosen), window.hour)
        return padded(self.preprocessor, *slotted(self.elsewhere(part, rng), self.preprocessor)[0])

    def chosen(self, stations: Stations, rng: random.Random) -> Indices:
        """Which stations stay, at most as many as fill a tree."""
        count = len(stations)
        most = min(count, self.preprocessor.tree.capacity)
        part = max(1, round(count ** rng.random()))  # as often below the root of the count as above it
        size = most if rng.random() < self.whole else min(most, part)
        if rng.random() < 0.5:
            return np.array(rng.sample(range(count), size))
        centre = rng.randrange(count)
        distance = np.hypot(
            stations.latitude - stations.latitude[centre], stations.longitude - stations.longitude[centre]
        )
        return np.argsort(distance)[:size]

    def elsewhere(self, window: Window, rng: random.Random) -> Window:
        if rng.random() >= self.moved:
            return window
        hours = rng.randrange(24)
        longitude = (window.stations.longitude - DEGREES_PER_HOUR * hours + 180) % 360 - 180
        mirrored = rng.random() < 0.5
        latitude = window.stations.latitude * (-1 if mirrored else 1)
        stations = Stations(window.stations.ids, latitude, longitude, window.stations.elevation)
        return Window(window.history, window.coming, stations, window.hour + hours + HALF_YEAR * mirrored)


class JudgedWindows(Dataset[tuple[Tensor, Tensor]]):
    """All views of the windows that begin every `stride` hours, all stations in each."""

    def __init__(self, archive: Archive, preprocessor: WeatherPreprocessor, stride: int) -> None:
        self.preprocessor = preprocessor
        rows = archive.windows(preprocessor.history, preprocessor.horizon, stride)
        windows = (Window.cut(archive, row, preprocessor.history, preprocessor.horizon) for row in rows)
        self.views = [pair for window in windows if len(window.stations) for pair in slotted(window, preprocessor)]

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return padded(self.preprocessor, *self.views[index])


def trimmed(x: Tensor, coming: Tensor, branch: int) -> tuple[Tensor, Tensor]:
    """A batch without the branches of the root, of so many slots, that are empty in all of its windows."""
    used = int((~x[..., 0].isnan()).any(dim=0).nonzero().max()) // branch + 1
    return x[:, : used * branch], coming[:, : used * branch]


def padded(preprocessor: WeatherPreprocessor, x: Tensor, coming: Tensor) -> tuple[Tensor, Tensor]:
    """Both with as many slots as the tree has, NaN in those that are empty."""
    missing = preprocessor.tree.capacity - len(x)
    return tuple(torch.nn.functional.pad(y, (0, 0, 0, missing), value=torch.nan) for y in (x, coming))  # type: ignore[return-value]
