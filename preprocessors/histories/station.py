"""Where the values come from: names and places of the stations, in the order of the columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from preprocessors.histories.refusal import damaged, quoted

Positions = NDArray[np.float64]

LONGEST_ID = 100  # characters
RANGES = {  # what a station may say of its place, in degrees north and east, and metres above the sea
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 180.0),
    "elevation": (-450.0, 9000.0),  # from the shore of the Dead Sea to the top of Everest
}


@dataclass(frozen=True, eq=False)
class Stations:
    """ids: unique. named: False where the sender gave no names, and the ids are the numbers of the columns, from 0.

    latitude, longitude: (N,) degrees north and east. elevation: (N,) metres. NaN where the sender says nothing; of
    latitude and longitude both or none is known. Raises UndecodableInput for what no network of stations has.
    """

    ids: tuple[str, ...]
    latitude: Positions
    longitude: Positions
    elevation: Positions
    named: bool = True

    @classmethod
    def of(cls, ids: Sequence[str], **positions: Positions | None) -> "Stations":
        """With the positions that are known."""
        unknown = np.full(len(ids), np.nan)
        latitude, longitude, elevation = (_or(positions.get(name), unknown) for name in RANGES)
        return cls(tuple(ids), latitude, longitude, elevation)

    @classmethod
    @lru_cache(maxsize=16)
    def numbered(cls, count: int) -> "Stations":
        unknown = np.full(count, np.nan)
        return cls(tuple(map(str, range(count))), unknown, unknown, unknown, named=False)

    def __post_init__(self) -> None:
        if not self.ids:
            raise damaged("it names no stations, at least one is needed")
        self._check_ids()
        for name, (low, high) in RANGES.items():
            self._check_range(name, low, high)
        half = np.isnan(self.latitude) != np.isnan(self.longitude)
        if half.any():
            raise damaged(f"station {quoted(self.ids[half.argmax()])} has only one of latitude and longitude")

    def __len__(self) -> int:
        return len(self.ids)

    def require(self, *names: str) -> None:
        """Refuse stations that do not say their latitude, longitude or elevation."""
        for name in names:
            unknown = np.isnan(getattr(self, name))
            if unknown.any():
                station = quoted(self.ids[unknown.argmax()])
                raise damaged(f"station {station} has no {name}, which this model needs", f"send the {name} of each")

    def _check_ids(self) -> None:
        if (
            len(set(self.ids)) == len(self.ids)
            and all(map(str.strip, self.ids))
            and max(map(len, self.ids)) <= LONGEST_ID
        ):
            return
        seen: set[str] = set()
        for name in self.ids:
            if not name.strip() or len(name) > LONGEST_ID:
                raise damaged(f"the station {quoted(name)} has no name of 1 to {LONGEST_ID} characters")
            if name in seen:
                raise damaged(f"the station {quoted(name)} occurs twice", "send each station once")
            seen.add(name)

    def _check_range(self, name: str, low: float, high: float) -> None:
        values = getattr(self, name)
        if len(values) != len(self.ids):
            raise damaged(f"it holds the {name} of {len(values)} stations, and names {len(self.ids)}")
        wrong = (values < low) | (values > high)
        if wrong.any():
            station, value = self.ids[wrong.argmax()], values[wrong.argmax()]
            remedy = "subtract 360" if name == "longitude" and 180 < value <= 360 else "correct it and send it again"
            raise damaged(f"the {name} of station {quoted(station)} is {value:g}, expected {low:g} to {high:g}", remedy)


def _or(values: Positions | None, otherwise: Positions) -> Positions:
    return otherwise if values is None else values
