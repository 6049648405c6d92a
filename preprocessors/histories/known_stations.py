"""The network that a model was trained on: it fills in what a request does not say of its stations."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from preprocessors.base import UndecodableInput
from preprocessors.histories.arrangement import on_globe
from preprocessors.histories.refusal import quoted
from preprocessors.histories.station import RANGES, Positions, Stations

Values = NDArray[np.float64]
FARTHEST = 3.0
NARROWEST = 1e-3  # deviation, of stations all at one place


class KnownStations:
    """ids, and per station degrees and metres; all empty for a model that knows none."""

    def __init__(
        self, ids: Sequence[str], latitude: Sequence[float], longitude: Sequence[float], elevation: Sequence[float]
    ) -> None:
        if len({len(ids), len(latitude), len(longitude), len(elevation)}) != 1:
            raise ValueError(f"{len(ids)} stations, expected as many latitudes, longitudes and elevations")
        self.ids = tuple(ids)
        self.columns = {
            name: np.array(column, np.float64)
            for name, column in zip(RANGES, (latitude, longitude, elevation), strict=True)
        }

    @cached_property
    def network(self) -> Stations:
        return Stations.of(self.ids, **self.columns)

    @cached_property
    def rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids)}

    def located(self, stations: Stations) -> tuple[Stations, int]:
        """The same with latitude, longitude and elevation of each, and of how many the elevation is their neighbour's.

        Stations without any names are the known ones, if they are as many; `network` itself stands for all that are
        known, in their order. Raises UndecodableInput for a station that brings no position and is not known.
        """
        if self._are_meant_by(stations):
            return self.network, 0
        here = np.isnan(stations.latitude)
        if here.any():
            stations = self._looked_up(stations, here)
        assumed = np.isnan(stations.elevation)
        if assumed.any():
            stations = replace(
                stations, elevation=np.where(assumed, self._nearest_elevation(stations), stations.elevation)
            )
        return stations, int(assumed.sum())

    def standardized(self, stations: Stations) -> tuple[Values, ...]:
        """Latitude, longitude and elevation, each of mean 0 and deviation 1 over the known stations.

        Places farther off are taken to be FARTHEST deviations away: what a model has not seen it must not extrapolate.
        """
        columns = ((getattr(stations, name) - mean) / deviation for name, (mean, deviation) in self._spread.items())
        return tuple(np.clip(column, -FARTHEST, FARTHEST) for column in columns)

    @cached_property
    def _spread(self) -> dict[str, tuple[float, float]]:
        if not self.ids:
            return dict.fromkeys(RANGES, (0.0, 1.0))
        return {name: (float(x.mean()), max(float(x.std()), NARROWEST)) for name, x in self.columns.items()}

    def _are_meant_by(self, stations: Stations) -> bool:
        if not stations.named:
            return len(stations) == len(self.ids)
        positions = (getattr(stations, name) for name in RANGES)
        return stations.ids == self.ids and all(np.isnan(position).all() for position in positions)

    def _looked_up(self, stations: Stations, here: NDArray[np.bool_]) -> Stations:
        unknown = [name for name, wanted in zip(stations.ids, here, strict=True) if wanted and name not in self.rows]
        if unknown:
            raise self._unknown(unknown[0], stations)
        rows = [self.rows.get(name, 0) for name in stations.ids]
        found: dict[str, Positions | None] = {
            name: np.where(here & np.isnan(getattr(stations, name)), column[rows], getattr(stations, name))
            for name, column in self.columns.items()
        }
        return Stations.of(stations.ids, **found)

    def _nearest_elevation(self, stations: Stations) -> Values:
        """That of the known station at the smallest angle."""
        if not self.ids:
            return np.zeros(len(stations))
        angles = on_globe(stations.latitude, stations.longitude) @ self._places.T
        return self.columns["elevation"][angles.argmax(axis=1)]

    @cached_property
    def _places(self) -> Values:
        return on_globe(self.columns["latitude"], self.columns["longitude"])

    def _unknown(self, name: str, stations: Stations) -> UndecodableInput:
        remedy = "send latitude, longitude and elevation of each station"
        if not stations.named:
            detail = f"the {len(stations)} stations have no names, and the model knows {len(self.ids)}: {remedy}"
        else:
            detail = f"the model does not know where the station {quoted(name)} is: {remedy}"
        return UndecodableInput("unknown_station", detail)
