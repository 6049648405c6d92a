"""Histories of weather stations that tests make for themselves, and write in every format; without pandas."""

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from preprocessors.histories.history import History
from preprocessors.histories.history_reader import read_history
from preprocessors.histories.terms import Terms
from preprocessors.histories.weather_options import WeatherOptions

Values = NDArray[np.float64]

START = datetime(2024, 2, 28, 22, tzinfo=UTC)  # a leap day follows
HOUR = timedelta(hours=1)


@dataclass(frozen=True, eq=False)
class Network:
    """What was written, to compare with what is read. values: (T, N) degC in tenths, no two of them equal."""

    values: Values
    ids: tuple[str, ...]
    latitude: Values
    longitude: Values
    elevation: Values
    start: datetime = START

    @property
    def times(self) -> list[str]:
        return [(self.start + step * HOUR).isoformat() for step in range(len(self.values))]

    def body(self, **changes: Any) -> dict[str, Any]:
        stations = [
            {"id": name, "latitude": latitude, "longitude": longitude, "elevation": elevation}
            for name, latitude, longitude, elevation in zip(
                self.ids, self.latitude.tolist(), self.longitude.tolist(), self.elevation.tolist(), strict=True
            )
        ]
        facts = {"start_time": self.times[0], "frequency": "H", "variables": ["temperature"], "units": "degC"}
        return {**facts, "stations": stations, "series": self.values.tolist(), **changes}


def network(steps: int = 30, stations: int = 4, seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)
    values = (rng.permutation(1200)[: steps * stations].reshape(steps, stations) - 600) / 10
    latitude, longitude, elevation = (np.round(rng.uniform(-limit, limit, stations), 4) for limit in (90, 180, 400))
    return Network(values, tuple(f"{number:05d}" for number in range(7, 7 + stations)), latitude, longitude, elevation)


def long_rows(net: Network) -> list[tuple[str, str, float, float, float, float]]:
    places = zip(net.ids, net.latitude, net.longitude, net.elevation, strict=True)
    columns = list(enumerate(places))
    return [
        (time, place[0], row[i], *place[1:])
        for time, row in zip(net.times, net.values, strict=True)
        for i, place in columns
    ]


def long_csv(net: Network, value: str = "temperature", order: int | None = None) -> bytes:
    """order: seed of a permutation of the rows."""
    rows = long_rows(net)
    if order is not None:
        rows = [rows[index] for index in np.random.default_rng(order).permutation(len(rows))]
    lines = [f"time,station,{value},lat,lon,elevation", *(",".join(map(str, row)) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def wide_csv(net: Network, separator: str = ",") -> bytes:
    rows = [(time, *row) for time, row in zip(net.times, net.values.tolist(), strict=True)]
    return "".join(separator.join(map(str, row)) + "\n" for row in [("time", *net.ids), *rows]).encode()


def npy(values: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def network_npz(net: Network) -> bytes:
    return npz(
        series=net.values,
        stations=np.array(net.ids),
        latitude=net.latitude,
        longitude=net.longitude,
        elevation=net.elevation,
        start_time=np.datetime64(net.start.replace(tzinfo=None)),
        variable="temperature",
    )


def parquet(columns: dict[str, Any]) -> bytes:
    """Columns are lists, or arrays of pyarrow, without which the test is skipped."""
    library = pytest.importorskip("pyarrow")
    file = io.BytesIO()
    pytest.importorskip("pyarrow.parquet").write_table(library.table(columns), file)
    return file.getvalue()


def long_parquet(net: Network) -> bytes:
    names = ("timestamp", "station_id", "temperature", "latitude", "longitude", "altitude")
    return parquet({name: list(column) for name, column in zip(names, zip(*long_rows(net), strict=True), strict=True)})


def wide_parquet(net: Network) -> bytes:
    times = [net.start + step * HOUR for step in range(len(net.values))]
    return parquet({"time": times, **dict(zip(net.ids, net.values.T.tolist(), strict=True))})


def read(payload: bytes | dict[str, Any], terms: Terms | None = None, **options: Any) -> History:
    payload = orjson.dumps(payload) if isinstance(payload, dict) else payload
    return read_history(payload, WeatherOptions(**options), terms)[1]
