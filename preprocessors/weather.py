"""Histories of weather stations: bytes -> the latest hours of every station, arranged by where they stand on Earth.

Stations become nodes of neighbours and nodes a tree, in the way of Corrformer (paper section 3.3), for any network.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from preprocessors.base import Array, Preprocessor, Sample, UndecodableInput
from preprocessors.histories.arrangement import ABSENT, Indices, Tree, arranged
from preprocessors.histories.clock import EPOCH
from preprocessors.histories.history import History
from preprocessors.histories.history_reader import read_history
from preprocessors.histories.known_stations import KnownStations
from preprocessors.histories.refusal import HOUR, damaged, iso
from preprocessors.histories.station import Stations
from preprocessors.histories.terms import Terms
from preprocessors.histories.variable import VARIABLES, Variable, variable
from preprocessors.histories.weather_options import WeatherOptions

if TYPE_CHECKING:
    from torch import Tensor

    from preprocessors.base import Empty

FACTS = 5  # columns of a view before the values
DEGREES_PER_HOUR = 15
EXAMPLE_PLACES = {name: np.arange(3.0) for name in ("latitude", "longitude", "elevation")}
EXAMPLE_VALUE = 5.0  # in degrees as in metres a second nothing unusual


@dataclass(frozen=True)
class ForecastRequest:
    """How a forecast is told: in the units, for the stations, in the order and for the hours that were asked for."""

    step: ClassVar[timedelta] = HOUR

    variable: str
    units: str
    start_time: str
    stations: tuple[str, ...]
    horizon: int
    slots: tuple[Indices, ...]

    def answer(self, slots: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(slots, hours) of every view, in the canonical unit -> (horizon, stations)."""
        return self.told([view[:, : self.horizon] for view in slots])

    def history(self, views: Sequence[Array]) -> NDArray[np.float32]:
        """What the model saw -> (hours, stations)."""
        return self.told([view[:, FACTS:] for view in views])

    def told(self, slots: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """As the sender would write it; nothing that is told is out of the variable's range."""
        values = np.empty((len(self.stations), slots[0].shape[1]), np.float32)
        for view, places in zip(slots, self.slots, strict=True):
            filled = np.flatnonzero(places != ABSENT)
            values[places[filled]] = view[filled]
        measured: Variable = VARIABLES[self.variable]
        np.clip(values, measured.low, measured.high, out=values)
        return np.ascontiguousarray(measured.units[self.units].told(values).T)


@dataclass(frozen=True)
class WeatherPreprocessor(Preprocessor[WeatherOptions]):
    """variable: the one that is forecast. history, horizon: hours seen, and hours forecast at most. node: stations a
    node. branches: of the tree of nodes, from its root. stations, latitude, longitude, elevation: of the network that
    the model was trained on, in degrees and metres; requests may name them, or bring others with their positions.

    A network larger than the tree is divided among several, each a view of its own.
    """

    modality: ClassVar[str] = "weather"
    media_types: ClassVar[tuple[str, ...]] = (
        "application/json",
        "text/csv",
        "application/vnd.apache.parquet",
        "application/x-npy",
        "application/x-npz",
        "application/octet-stream",
    )
    option_type: ClassVar[type] = WeatherOptions

    variable: str = "temperature"
    history: int = 48
    horizon: int = 24
    node: int = 11
    branches: tuple[int, ...] = (7, 50)
    stations: tuple[str, ...] = ()
    latitude: tuple[float, ...] = ()
    longitude: tuple[float, ...] = ()
    elevation: tuple[float, ...] = ()
    max_stations: int = 5_000

    def __post_init__(self) -> None:
        for name in ("branches", "stations", "latitude", "longitude", "elevation"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # from a checkpoint they come as lists
        if min(self.history, self.horizon, self.max_stations) < 1:
            raise ValueError("history, horizon and max_stations must be at least 1")
        variable(self.variable)
        _ = self.tree, self.known  # refuse what makes none of them

    @cached_property
    def tree(self) -> Tree:
        return Tree(self.node, self.branches)

    @cached_property
    def known(self) -> KnownStations:
        return KnownStations(self.stations, self.latitude, self.longitude, self.elevation)

    def decode(self, payload: bytes, options: WeatherOptions) -> Sample:
        """A view per tree: (slots, 5 + history) float32, see `transform`. Nothing is learned from the order sent."""
        terms = Terms(
            default_variable=self.variable,
            min_steps=self.history,
            max_stations=self.max_stations,
            horizon=self.horizon,
        )
        name, history = read_history(payload, options, terms)
        self._check(history)
        stations, assumed = self.known.located(history.stations)
        places = self.slots(stations)
        first_hour = (history.end - EPOCH) // HOUR - self.history
        rows = self.rows(history.values[-self.history :], first_hour, stations)
        description: dict[str, Any] = {
            "format": name,
            "variable": history.variable,
            "units": history.units,
            "stations": len(stations),
            "hours": len(history.values),
            "hours_used": self.history,
            "last_time": iso(history.end - HOUR),
            "interpolated": history.interpolated,
            "elevations_assumed": assumed,
            "bytes": len(payload),
        }
        asked = ForecastRequest(
            history.variable, history.units, iso(history.end), stations.ids, history.horizon, tuple(places)
        )
        return Sample(tuple(view(rows, slots) for slots in places), description, asked)

    def slots(self, stations: Stations) -> Sequence[Indices]:
        """Which station stands in which slot, for each tree that the network takes."""
        return self._known_slots if self._is_known(stations) else self._arranged(stations)

    def _is_known(self, stations: Stations) -> bool:
        """It is the very network that the model was trained on, about which much is known beforehand."""
        return bool(self.stations) and stations is self.known.network

    @cached_property
    def _known_slots(self) -> Sequence[Indices]:
        return self._arranged(self.known.network)

    def _arranged(self, stations: Stations) -> Sequence[Indices]:
        return arranged(self.tree, stations.latitude.tolist(), stations.longitude.tolist(), stations.ids)

    @cached_property
    def _known_places(self) -> NDArray[np.float64]:
        return self._places(self.known.network)

    def _places(self, stations: Stations) -> NDArray[np.float64]:
        return np.column_stack((*self.known.standardized(stations), stations.longitude / DEGREES_PER_HOUR))

    def rows(self, values: Array, hour: int, stations: Stations) -> NDArray[np.float32]:
        """(N, 5 + T): what a slot holds of a station. values: (T, N). hour: of the first, since 1970."""
        rows = np.empty((len(stations), FACTS + len(values)), np.float32)
        rows[:, : FACTS - 1] = self._known_places if self._is_known(stations) else self._places(stations)
        rows[:, FACTS - 1] = hour
        rows[:, FACTS:] = values.T
        return rows

    def blank(self) -> Array:
        """A full branch of the tree of stations all over the world, without weather."""
        count = self.tree.capacity // self.branches[0]
        latitude, longitude, elevation = np.random.default_rng(0).uniform(-1, 1, (3, count)) * [[90], [180], [400]]
        names = [str(number) for number in range(count)]
        stations = Stations.of(names, latitude=latitude, longitude=longitude, elevation=elevation)
        return self.rows(np.zeros((self.history, count)), 0, stations)

    def example(self) -> bytes:
        """The known network, or three stations, in steady weather."""
        stations = self.known.network if self.stations else Stations.of(("a", "b", "c"), **EXAMPLE_PLACES)
        columns = ("latitude", "longitude", "elevation")
        facts = {"variable": self.variable, "units": variable(self.variable).canonical, "stations": stations.ids}
        places = {name: getattr(stations, name).tolist() for name in columns}
        series = np.full((self.history, len(stations)), EXAMPLE_VALUE).tolist()
        return json.dumps({**facts, **places, "start_time": iso(EPOCH), "series": series}).encode()

    def collate(self, views: Sequence[Array], empty: "Empty | None" = None) -> "Tensor":
        """With slots without a station, NaN, behind networks that are smaller than others."""
        longest = max(map(len, views))
        return super().collate(
            [np.pad(view, ((0, longest - len(view)), (0, 0)), constant_values=np.nan) for view in views], empty
        )

    def transform(self, batch: "Tensor") -> "Tensor":
        """(N, slots, 5 + history) float32 as it is: latitude, longitude and elevation, standardized over the known
        network; longitude / 15 degrees; hours since 1970 of the first value; the values. NaN where no station stands.
        """
        return batch.float()

    def _check(self, history: History) -> None:
        if history.variable != self.variable:
            detail = f"the history is of {history.variable}, this model forecasts {self.variable}: choose another model"
            raise UndecodableInput("wrong_model", detail)
        if history.horizon > self.horizon:
            found = f"a horizon of {history.horizon} hours is asked for, this model forecasts 1 to {self.horizon}"
            raise damaged(found, f"ask for {self.horizon} or fewer")


def view(rows: NDArray[np.float32], slots: Indices) -> NDArray[np.float32]:
    """The rows in their slots, and NaN in those without a station."""
    placed = rows[slots]
    placed[slots == ABSENT] = np.nan
    return placed
