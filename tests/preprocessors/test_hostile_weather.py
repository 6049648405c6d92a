"""Histories that are broken, that lie, or that were made to do harm: refused with a reason, or read, and cheaply."""

import io
import random
import re
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from preprocessors.base import PayloadError, TooLarge, UndecodableInput, UnsupportedFormat
from preprocessors.histories import arrow_file
from preprocessors.histories.gaps import longest_run
from preprocessors.histories.history_reader import read_history
from preprocessors.histories.terms import Terms
from preprocessors.histories.weather_options import WeatherOptions
from tests.histories import (
    long_csv,
    long_parquet,
    network,
    network_npz,
    npy,
    npz,
    parquet,
    read,
    wide_csv,
    wide_parquet,
)
from tests.hostile import damaged

NETWORK = network()
OPTIONS: dict[str, Any] = {"variable": "temperature", "start_time": "2024-02-28T22:00Z"}
ROOT = Path(__file__).resolve().parents[2]
SOUND: dict[str, Callable[[], bytes]] = {
    "json": lambda: orjson.dumps(NETWORK.body()),
    "npy": lambda: npy(NETWORK.values),
    "npz": lambda: network_npz(NETWORK),
    "long csv": lambda: long_csv(NETWORK),
    "wide csv": lambda: wide_csv(NETWORK),
    "long parquet": lambda: long_parquet(NETWORK),
    "wide parquet": lambda: wide_parquet(NETWORK),
}
CODES = {"ok", "undecodable_input", "unsupported_media_type", "missing_values", "too_many_values", "too_much_memory"}


def refusal(payload: bytes | dict[str, Any], terms: Terms | None = None, **options: Any) -> PayloadError:
    with pytest.raises(PayloadError) as refused:
        read(payload, terms, **options)
    return refused.value


def outcome(payload: bytes) -> str:
    """What became of a payload; anything but a history or a PayloadError is raised."""
    try:
        history = read(payload, Terms(max_steps=2_000), **OPTIONS)
    except PayloadError as error:
        return error.code if len(error.detail) < 600 else error.detail
    assert np.isfinite(history.values).all()
    assert history.values.shape[1] == len(history.stations)
    return "ok"


def series(step: int, station: int, value: object) -> list[list[object]]:
    """The values of the network with another one in the place of one of them."""
    rows: list[list[object]] = NETWORK.values.tolist()
    rows[step][station] = value
    return rows


@pytest.mark.parametrize("case", SOUND)
def test_random_damage_is_read_or_refused_and_nothing_else(case: str) -> None:
    if "csv" in case or "parquet" in case:
        pytest.importorskip("pyarrow")
    payload, rng = SOUND[case](), random.Random(1)
    outcomes = {outcome(damaged(payload, rng)) for _ in range(150)}
    assert len(outcomes) > 1
    assert outcomes <= CODES


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"series": None}, "no series"),
        ({"series": "21.3"}, "list of rows of numbers"),
        ({"series": [1, 2]}, "row 0.*list of numbers"),
        ({"series": [[]]}, "row 0"),
        ({"series": [[1, 2, 3, 4], [1, 2, 3]]}, "hour 1 has the values of 3 stations, those before it of 4"),
        ({"series": series(3, 1, "21.3")}, "hour 3 of station 1.*'21.3', expected a number or null"),
        ({"series": series(3, 1, True)}, "hour 3 of station 1.*True"),
        ({"series": series(3, 1, {})}, "hour 3 of station 1"),
        ({"series": np.zeros((3, 4, 2)).tolist(), "variables": ["temperature", "wind"]}, "one variable at a time"),
        ({"variables": ["temperature", "wind"]}, "2 variables, expected one"),
        ({"variables": 7}, "variable is 7, expected text"),
        ({"values": [[1]]}, "both series and values"),
        ({"units": "furlong"}, "'furlong', expected one of degC, K"),
        ({"units": "m/s"}, "'m/s', expected one of degC, K"),
        ({"frequency": "D"}, "frequency is 'D'.*resample"),
        ({"frequency": True}, "frequency is True"),
        ({"start_time": 1704067200}, "1704067200, expected ISO 8601"),
        ({"start_time": "0001-01-01T00:00+14:00"}, "expected ISO 8601"),
        ({"start_time": "9999-12-31T23:00"}, "not within the years"),
        ({"horizon": 0}, "horizon is 0"),
        ({"horizon": 1.5}, "horizon is 1.5"),
        ({"missing": "drop"}, "'drop', expected error or interpolate"),
        ({"missing": []}, "expected error or interpolate"),
        ({"stations": ["a", "b", "c"]}, "names 3 stations, and has the values of 4"),
        ({"stations": ["a", "b", "c", "a"]}, "'a' occurs twice"),
        ({"stations": ["a", "b", "c", " "]}, "no name"),
        ({"stations": ["a", "b", "c", "d" * 101]}, "1 to 100 characters"),
        ({"stations": ["a", "b", "c", 1.5]}, "1.5, expected text"),
        ({"stations": "abcd"}, "list of names or of objects"),
        ({"stations": [{"id": name, "lat": 1} for name in "abcd"]}, "only one of latitude and longitude"),
        ({"stations": [{"id": name, "lat": 1, "lon": 190} for name in "abcd"]}, "-180 to 180.*subtract 360"),
        (
            {"stations": [{"id": name, "lat": 1, "lon": 1, "elev": 9001} for name in "abcd"]},
            "9001, expected -450 to 9000",
        ),
        ({"stations": list("abcd"), "latitude": [1, 2]}, "list of 4 numbers"),
        ({"inputs": {}}, "inputs are {}"),
        ({"inputs": [{"series": [1]}, {"series": [[1]]}]}, "input 1 of several"),
        ({"inputs": [{"series": [1]}, {"series": [1], "frequency": "D"}]}, "frequency is 'D' for input 1"),
        ({"inputs": [{"series": [1]}], "options": 1}, "options are 1"),
    ],
)
def test_a_damaged_body_is_refused_by_its_fault(changes: dict[str, Any], reason: str) -> None:
    error = refusal(NETWORK.body(**changes))
    assert isinstance(error, UndecodableInput)
    assert re.search(reason, error.detail), error.detail


@pytest.mark.parametrize(
    ("variable", "units", "value", "hint"),
    [
        ("temperature", "degC", 293.0, "as K or degC_x10"),
        ("temperature", "degC", 95.0, "as degF or degC_x10"),
        ("temperature", "K", 20.0, "as degC or degF or degC_x10"),
        ("temperature", "degC", -9999.0, "missing value"),
        ("temperature", "degC_x10", -9999.0, "missing value"),
        ("temperature", "degC", -32768.0, "missing value"),
        ("wind", "m/s", 155.0, "as km/h or kn or m/s_x10"),
        ("wind", "m/s", -0.1, "expected 0 to 120"),
    ],
)
def test_values_out_of_range_are_named_with_a_guess(variable: str, units: str, value: float, hint: str) -> None:
    rows = [[280.0 if units == "K" else 10.0] * 4 for _ in range(5)]
    rows[2][3] = value
    error = refusal(NETWORK.body(series=rows, variables=[variable], units=units))
    assert f"2024-02-29T00:00:00Z of station '00010' is {value:g} {units}" in error.detail
    assert hint in error.detail


def test_missing_values_are_refused_with_the_first_of_them() -> None:
    rows = series(5, 2, None)
    rows[9][0] = None
    error = refusal(NETWORK.body(series=rows))
    assert error.code == "missing_values"
    assert "2024-02-29T03:00:00Z of station '00009', 2 of 120 are missing" in error.detail


def test_gaps_are_interpolated_in_time_with_the_ends_held() -> None:
    values = NETWORK.values.copy()
    values[[0, 1, 7, 8, 9, 29], 1] = np.nan
    values[4, 3] = np.nan
    history = read(npy(values), **OPTIONS, missing="interpolate")
    expected, hours = NETWORK.values.copy(), np.arange(30)
    for station in (1, 3):
        known = np.isfinite(values[:, station])
        expected[:, station] = np.interp(hours, hours[known], values[known, station])
    assert np.array_equal(history.values, expected)
    assert history.interpolated == 7
    assert history.values[0, 1] == values[2, 1]
    assert history.values[29, 1] == values[28, 1]


@pytest.mark.parametrize(
    ("hours", "reason"),
    [
        (slice(2, 9), "7 hours in a row.*2024-02-29T00:00:00Z of station '1'; at most 6"),
        (slice(None, None, 3), "33% of the values are missing.*at most 25%"),
        (slice(None), "no value at all"),
    ],
)
def test_gaps_that_are_too_long_or_too_many_are_not_interpolated(hours: slice, reason: str) -> None:
    values = NETWORK.values.copy()
    values[hours, 1] = np.nan
    error = refusal(npy(values), **OPTIONS, missing="interpolate")
    assert error.code == "missing_values"
    assert re.search(reason, error.detail), error.detail


def test_the_longest_run_is_found() -> None:
    assert longest_run(np.zeros(5, bool)) == (0, 0)
    assert longest_run(np.array([1, 0, 1, 1, 1, 0, 1, 1], bool)) == (2, 3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("time,a\n", "no rows"),
        ("time,a,a\n2024-01-01,1,2\n", "two columns of the name 'a'"),
        ("x,y\n1,2\n", "none of its columns is named time"),
        ("time,a\n2024-01-01T00:00,1\n2024-01-01T00:30,1\n", "00:30:00Z is no whole number of hours"),
        ("time,a\n2024-01-01,1\n2024-01-02,1\n2024-01-03,1\n", "24 hours apart, expected one hour"),
        ("time,a\n2024-01-01,1\n2024-01-01,1\n", "two values at 2024-01-01T00:00:00Z of station 'a'"),
        ("time,a\n2024-01-01,x\n", "invalid value 'x'"),
        ("time,a\n2024-01-01,1,2\n", "Expected 2 columns, got 3"),
        ("time,a\n2024-01-01,inf\n", "is inf degC"),
        ("time,a\n,1\n", "column time is empty in row 2"),
        ("time,station,value\n2024-01-01,,1\n", "column station is empty in row 2"),
        ("time,station,lat,lon\n2024-01-01,a,1,1\n", "these are values: none"),
        ("time,station,value\n2024-01-01,a,1\n2024-01-01,a,1\n", "two values at 2024-01-01T00:00:00Z of station 'a'"),
        (
            "time,station,value,lat\n2024-01-01,a,1,1\n2024-01-01T01,a,1,2\n",
            "lat of station 'a' is 1, and 2 in another",
        ),
    ],
)
def test_a_damaged_table_is_refused_by_its_fault(text: str, reason: str) -> None:
    pytest.importorskip("pyarrow")
    error = refusal(text.encode(), variable="temperature")
    assert re.search(reason, error.detail), error.detail


def test_an_hour_without_a_row_is_missing_for_every_station() -> None:
    pytest.importorskip("pyarrow")
    lines = wide_csv(NETWORK).splitlines(keepends=True)
    table = b"".join(lines[:4] + lines[5:])
    error = refusal(table, variable="temperature")
    assert "2024-02-29T01:00:00Z of station '00007', 4 of 120" in error.detail
    assert read(table, variable="temperature", missing="interpolate").interpolated == 4


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"time": ["2024-01-01"], "a": ["x"]}, "column a is of type string, expected numbers"),
        ({"time": [1.5], "a": [1.0]}, "column time is of type double, expected text"),
        ({"time": ["2024-01-01"], "a": [[1.0]]}, "column a is of type list"),
    ],
)
def test_parquet_columns_of_other_types_are_refused(columns: dict[str, Any], reason: str) -> None:
    assert re.search(reason, refusal(parquet(columns), variable="temperature").detail)


@pytest.mark.parametrize(
    ("payload", "kind", "reason"),
    [
        (b"", UndecodableInput, "empty"),
        (b" \n", UndecodableInput, "empty"),
        ('{"a":1}'.encode("utf-16"), UndecodableInput, "UTF-16"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\0", UnsupportedFormat, "send one of npy, npz, parquet, json, csv"),
        (b"null", UndecodableInput, "JSON is None"),
        (npy(np.array([[None]])), UndecodableInput, "pickle|Object|type"),
        (npy(np.array([["a"]])), UndecodableInput, "type <U1, expected floating"),
        (npy(np.zeros((2, 2), np.complex64)), UndecodableInput, "type <c8"),
        (npy(np.zeros(4)), UndecodableInput, r"shape \(4,\), expected \(hours, stations\)"),
        (npy(np.zeros((0, 4))), UndecodableInput, r"shape \(0, 4\)"),
        (npy(np.zeros((4, 4)))[:-1], UndecodableInput, "declares 128 bytes of numbers, it holds 127"),
        (npz(data=np.zeros((4, 4))), UndecodableInput, "no series"),
        (npz(series=np.zeros((4, 4)), values=np.zeros((4, 4))), UndecodableInput, "both series and values"),
        (npz(**{f"a{i}": np.zeros(1) for i in range(65)}), UndecodableInput, "more than 64 arrays"),
    ],
)
def test_bytes_that_hold_no_history_are_refused(payload: bytes, kind: type[PayloadError], reason: str) -> None:
    error = refusal(payload, **OPTIONS)
    assert isinstance(error, kind)
    assert re.search(reason, error.detail), error.detail


def npy_header(shape: str) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header


def zeros_in_zip(size: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("series.npy", npy_header(f"({size // 80}, 10)") + bytes(size))
    return file.getvalue()


def repeated_parquet() -> bytes:
    library = pytest.importorskip("pyarrow")
    rows = 200_000
    indices = library.array(np.zeros(rows, np.int32))
    text = library.DictionaryArray.from_arrays(indices, ["2024-01-01T00:00Z"])
    return parquet({"time": text, "station": text, "value": np.zeros(rows)})


SMALL = Terms(max_steps=100, max_stations=50, max_values=1_000)
TOO_LARGE: dict[str, Callable[[], bytes]] = {
    "npy that declares more": lambda: npy_header("(1000000000, 10)") + bytes(80),
    "npz that inflates": lambda: zeros_in_zip(30_000_000),
    "json of many numbers": lambda: b'{"series":[[' + b"1," * 1_000_000 + b"1]]}",
    "json of many hours": lambda: orjson.dumps(NETWORK.body(series=[[1.0] * 4] * 101)),
    "json of many stations": lambda: orjson.dumps(NETWORK.body(series=[[1.0] * 51], stations=None)),
    "kserve of many stations": lambda: orjson.dumps({"inputs": [{"series": [1.0], "name": "a"}] * 51}),
    "csv of many columns": lambda: b"time," + b",".join(b"%d" % i for i in range(1_000_000)) + b"\n",
    "csv of many rows": lambda: b"time,station,value\n" + b"2024-01-01,a,1\n" * 100_000,
    "csv over centuries": lambda: b"time,a\n1900-01-01,1\n2000-01-01,1\n",
    "parquet of repeated rows": repeated_parquet,
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_limits_hold_before_memory_is_spent(case: str) -> None:
    if "csv" in case:
        pytest.importorskip("pyarrow")
    payload = TOO_LARGE[case]()
    refusal(payload, SMALL, **OPTIONS)  # imports what it needs
    tracemalloc.start()
    try:
        error = refusal(payload, SMALL, **OPTIONS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(error, TooLarge)
    assert error.code == "too_many_values"
    assert error.limit is not None
    assert error.actual is not None
    assert error.actual > error.limit
    assert peak < len(payload) + 12_000_000


def test_a_history_that_is_too_short_says_how_long_it_must_be() -> None:
    error = refusal(NETWORK.body(), Terms(min_steps=31))
    assert (error.code, error.limit, error.actual) == ("too_short", 31, 30)
    assert len(read(NETWORK.body(), Terms(min_steps=30)).values) == 30


def test_without_pyarrow_tables_are_refused_with_the_name_of_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    arrow_file.arrow.cache_clear()
    try:
        for payload in (b"time,a\n2024-01-01,1\n", b"PAR1" + bytes(20)):
            error = refusal(payload, **OPTIONS)
            assert error.code == "unsupported_media_type"
            assert "unireplknet-service[weather]" in error.detail
    finally:
        arrow_file.arrow.cache_clear()


SCRIPT = """
import sys
from service.decode_worker import limit_memory
import preprocessors.histories.history_reader
limit_memory(600_000_000)
from preprocessors.histories.history_reader import read_history
from preprocessors.histories.weather_options import WeatherOptions
assert not {"pandas", "pyarrow"} & sys.modules.keys()
for path in sys.argv[1:]:
    name, history = read_history(open(path, "rb").read(), WeatherOptions("temperature", start_time="2024-02-28T22:00Z"))
    sys.stdout.write(f"{name} {history.values.shape[0]} ")
assert not {"torch", "fastapi", "pandas"} & sys.modules.keys()
"""


def test_a_decode_worker_reads_every_format_without_torch_and_under_its_limit_of_memory(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for index, payload in enumerate(SOUND.values()):
        (tmp_path / str(index)).write_bytes(payload())
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, *map(str, sorted(tmp_path.iterdir()))]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "json 30 npy 30 npz 30 csv 30 csv 30 parquet 30 parquet 30 "


def test_options_have_defaults_and_say_what_they_are() -> None:
    assert read_history(orjson.dumps(NETWORK.body()), WeatherOptions())[0] == "json"
    assert all(option.metadata["description"] for option in WeatherOptions.__dataclass_fields__.values())
