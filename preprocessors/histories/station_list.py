"""Names and positions of stations as JSON and npz list them, by any of their accepted names -> Stations."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from preprocessors.histories.refusal import damaged, quoted
from preprocessors.histories.station import RANGES, Positions, Stations

STATION_FIELDS: dict[str, tuple[str, ...]] = {
    "id": ("id", "station", "station_id", "item_id", "name"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng"),
    "elevation": ("elevation", "elev", "elevation_m", "altitude"),
}
REAL = {float, int, type(None)}


def stations_of(columns: Mapping[str, Any]) -> Stations:
    """From a list for each of the fields, None where it is absent."""
    ids = columns["id"]
    if set(map(type, ids)) != {str}:
        ids = [_id(value) for value in ids]
    return Stations.of(ids, **{name: _numbers(name, columns[name], ids) for name in RANGES})


def _id(value: Any) -> str:
    """Numbers are fine, but text keeps their leading zeros."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    found = f"the name of a station is {quoted(value)}, expected text"
    raise damaged(found, "send a list of names, or of objects with an id each")


def _numbers(name: str, column: Any, ids: list[str]) -> Positions | None:
    """(N,) degrees or metres, with NaN for null."""
    if column is None:
        return None
    if not isinstance(column, list) or len(column) != len(ids):
        raise damaged(f"its {name} is {quoted(column)}, expected a list of {len(ids)} numbers, one per station")
    if not set(map(type, column)) <= REAL:
        station, value = next((s, v) for s, v in zip(ids, column, strict=True) if type(v) not in REAL)
        found = f"the {name} of station {quoted(station)} is {quoted(value)}, expected a number"
        raise damaged(found, "send decimal degrees and metres; south and west are negative")
    return np.array(column, np.float64)
