"""Windows of a weather archive to train on, drawn anew every epoch."""

import random

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from preprocessors.histories.arrangement import Indices
from preprocessors.histories.station import Stations
from preprocessors.weather import DEGREES_PER_HOUR, WeatherPreprocessor
from training.weather_archive import Archive
from training.window import Window, padded, slotted, subset

HALF_YEAR = 24 * 183


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
        part = Window(
            window.history[:, chosen], window.targets[:, chosen], subset(window.stations, chosen), window.hour
        )
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
        return Window(window.history, window.targets, stations, window.hour + hours + HALF_YEAR * mirrored)


def trimmed(x: Tensor, targets: Tensor, branch: int) -> tuple[Tensor, Tensor]:
    """A batch without the branches of the root, of so many slots, that are empty in all of its windows."""
    used = int((~x[..., 0].isnan()).any(dim=0).nonzero().max()) // branch + 1
    return x[:, : used * branch], targets[:, : used * branch]
