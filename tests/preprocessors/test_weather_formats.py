"""Every format of weather histories is read to the numbers that were written, and means the same in each."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import orjson
import pytest

from preprocessors.base import UndecodableInput
from preprocessors.histories.history import History
from preprocessors.histories.history_reader import read_history
from preprocessors.histories.terms import Terms
from preprocessors.histories.variable import VARIABLES
from tests.histories import (
    HOUR,
    START,
    Network,
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

NETWORK = network()
SAID: dict[str, Any] = {"variable": "temperature", "start_time": START.isoformat()}


def neutral(net: Network) -> bytes:
    """A list of values for each station, and other names for everything."""
    places = zip(net.ids, net.latitude.tolist(), net.longitude.tolist(), net.elevation.tolist(), strict=True)
    stations = [dict(zip(("id", "lat", "lon", "elevation_m"), place, strict=True)) for place in places]
    facts = {"variable": "temperature", "unit": "degC", "step_hours": 1, "start": net.times[0]}
    return orjson.dumps({**facts, "stations": stations, "values": net.values.T.tolist()})


def kserve(net: Network) -> bytes:
    one = {"type": "multivariate_time_series", "name": "all", "series": net.values.tolist(), "frequency": "H"}
    options = {"horizon": 24, "variable": "temperature", "stations": net.body()["stations"]}
    return orjson.dumps({"model": "m", "inputs": [{**one, "start_timestamp": net.times[0]}], "options": options})


def kserve_by_station(net: Network) -> bytes:
    facts = {"type": "univariate_time_series", "frequency": "hour", "start_timestamp": net.times[0]}
    stations = [
        {**facts, **place, "name": f"series {place['id']}", "series": values}
        for place, values in zip(net.body()["stations"], net.values.T.tolist(), strict=True)
    ]
    return orjson.dumps({"model": "m", "inputs": stations, "options": {"horizon": 24}})


WRITERS: dict[str, tuple[str, Callable[[Network], bytes]]] = {
    "json": ("json", lambda net: orjson.dumps(net.body())),
    "json with a byte order mark": ("json", lambda net: b"\xef\xbb\xbf" + orjson.dumps(net.body())),
    "json, an axis of variables": ("json", lambda net: orjson.dumps(net.body(series=net.values[:, :, None].tolist()))),
    "json by station": ("json", neutral),
    "kserve": ("json", kserve),
    "kserve by station": ("json", kserve_by_station),
    "npz": ("npz", network_npz),
    "long csv": ("csv", long_csv),
    "long parquet": ("parquet", long_parquet),
}
WITHOUT_PLACES: dict[str, tuple[str, Callable[[Network], bytes]]] = {
    "json": ("json", lambda net: orjson.dumps(net.body(stations=list(net.ids)))),
    "wide csv": ("csv", wide_csv),
    "wide csv, decimal commas": ("csv", lambda net: wide_csv(net, ";").replace(b".", b",")),
    "wide parquet": ("parquet", wide_parquet),
}


@pytest.fixture(autouse=True)
def _needs_pyarrow(request: pytest.FixtureRequest) -> None:
    if "csv" in request.node.name or "parquet" in request.node.name:
        pytest.importorskip("pyarrow")


def assert_same(history: History, net: Network) -> None:
    assert history.values.dtype == np.float64
    assert np.array_equal(history.values, net.values)
    assert (history.variable, history.units, history.interpolated) == ("temperature", "degC", 0)
    assert history.start == net.start
    assert history.end == net.start + len(net.values) * HOUR


@pytest.mark.parametrize("case", WRITERS)
def test_a_format_is_read_to_the_number(case: str) -> None:
    name, write = WRITERS[case]
    found, history = read_history(write(NETWORK), terms=Terms(variable="temperature", positions=True, elevations=True))
    assert found == name
    assert_same(history, NETWORK)
    assert history.stations.ids == NETWORK.ids
    assert history.stations.named
    for axis in ("latitude", "longitude", "elevation"):
        assert np.array_equal(getattr(history.stations, axis), getattr(NETWORK, axis))


@pytest.mark.parametrize("case", WITHOUT_PLACES)
def test_names_keep_their_leading_zeros_and_places_may_be_unknown(case: str) -> None:
    name, write = WITHOUT_PLACES[case]
    found, history = read_history(write(NETWORK), terms=Terms(variable="temperature"))
    assert found == name
    assert_same(history, NETWORK)
    assert history.stations.ids == NETWORK.ids
    assert np.isnan(history.stations.latitude).all()
    with pytest.raises(UndecodableInput, match="station '00007' has no latitude"):
        read_history(write(NETWORK), terms=Terms(variable="temperature", positions=True))


@pytest.mark.parametrize("shape", [(30, 4), (30, 4, 1)])
def test_npy_takes_the_remaining_facts_from_the_request(shape: tuple[int, ...]) -> None:
    history = read(npy(NETWORK.values.reshape(shape)), **SAID)
    assert_same(history, NETWORK)
    assert history.stations.ids == ("0", "1", "2", "3")
    assert not history.stations.named
    assert_same(read(npy(np.asfortranarray(NETWORK.values)), **SAID), NETWORK)


def test_npy_of_whole_tenths_is_not_off_by_ten() -> None:
    history = read(npy(np.round(NETWORK.values * 10).astype(np.int16)), **SAID, units="degC_x10")
    assert np.array_equal(history.values, NETWORK.values)


@pytest.mark.parametrize("fact", ["variable", "start_time"])
def test_facts_that_nobody_says_are_asked_for(fact: str) -> None:
    with pytest.raises(UndecodableInput, match=f"nothing says its {fact}"):
        read(npy(NETWORK.values), **{name: value for name, value in SAID.items() if name != fact})


@pytest.mark.parametrize(
    ("fact", "value"),
    [("variable", "wind"), ("units", "K"), ("start_time", "2024-02-28T23:00Z"), ("frequency", "D")],
)
def test_a_request_that_contradicts_its_body_is_refused(fact: str, value: Any) -> None:
    with pytest.raises(UndecodableInput, match=fact):
        read(NETWORK.body(), **{fact: value})


def test_a_request_may_repeat_its_body_in_other_words() -> None:
    said: dict[str, Any] = {"variable": "air_temperature", "units": "celsius", "frequency": "hour"}
    assert_same(read(NETWORK.body(), **said, start_time="2024-02-29T03:30+05:30"), NETWORK)


def test_a_variable_other_than_the_models_is_refused() -> None:
    with pytest.raises(UndecodableInput, match="'temperature', expected 'wind'"):
        read(NETWORK.body(), Terms(variable="wind"))


def test_the_horizon_is_the_options_or_the_bodys_or_a_day() -> None:
    assert read(NETWORK.body(horizon=12), horizon=48).horizon == 48
    assert read(NETWORK.body(horizon=12)).horizon == 12
    assert read(NETWORK.body()).horizon == 24


def test_what_the_body_says_of_missing_values_wins() -> None:
    series = NETWORK.values.tolist()
    series[3][1] = None
    assert read(NETWORK.body(series=series, missing="interpolate")).interpolated == 1


@pytest.mark.parametrize(
    ("units", "sent", "canonical"),
    [
        ("degC", 21.3, 21.3),
        ("K", 294.45, 21.3),
        ("degF", 70.34, 21.3),
        ("degC_x10", 213, 21.3),
        ("m/s", 12.5, 12.5),
        ("km/h", 45, 12.5),
        ("kn", 25, 25 * 1852 / 3600),
        ("m/s_x10", 125, 12.5),
    ],
)
def test_units_convert_there_and_back(units: str, sent: float, canonical: float) -> None:
    variable = next(name for name, known in VARIABLES.items() if units in known.units)
    body = NETWORK.body(variables=[variable], units=units, series=[[sent] * 4] * 3)
    history = read(body)
    assert history.units == units
    assert np.allclose(history.values, canonical, rtol=0, atol=1e-9)
    assert np.allclose(history.in_sent_units(history.values), sent, rtol=0, atol=1e-9)


def test_times_without_an_offset_are_utc_and_others_are_converted() -> None:
    expected = datetime(2024, 1, 1, tzinfo=UTC)
    for text in ("2024-01-01T00:00", "2024-01-01", "2024-01-01 01:00:00+01:00", "2023-12-31T19:00:00-05:00"):
        assert read(NETWORK.body(start_time=text)).start == expected


def dublin(step: int) -> str:
    """The hours around 2024-10-27, when the clock of Dublin shows those between one and two twice."""
    time = datetime(2024, 10, 26, 20, tzinfo=UTC) + step * HOUR
    summer = time < datetime(2024, 10, 27, 1, tzinfo=UTC)
    return time.astimezone(timezone(timedelta(hours=int(summer)))).isoformat()


def test_local_times_with_offsets_stay_hourly_where_clocks_change() -> None:
    pytest.importorskip("pyarrow")
    rows = [("time", "a"), *((dublin(step), step) for step in range(12))]
    history = read("".join(f"{time},{value}\n" for time, value in rows).encode(), variable="temperature")
    assert history.start == datetime(2024, 10, 26, 20, tzinfo=UTC)
    assert history.values[:, 0].tolist() == list(range(12))
    naive = "".join(f"{time[:16]},{value}\n" for time, value in rows).encode()
    with pytest.raises(UndecodableInput, match="two values at 2024-10-27T01:00:00Z of station 'a'.*offset"):
        read(naive, variable="temperature")


def test_a_history_over_a_leap_day_has_its_24_hours() -> None:
    history = read(NETWORK.body())
    assert history.end == datetime(2024, 3, 1, 4, tzinfo=UTC)
    assert network().times[26] == datetime(2024, 3, 1, tzinfo=UTC).isoformat()


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_a_csv_may_come_in_any_order(seed: int) -> None:
    history = read(long_csv(NETWORK, order=seed))
    order = [history.stations.ids.index(name) for name in NETWORK.ids]
    assert np.array_equal(history.values[:, order], NETWORK.values)
    assert np.array_equal(history.stations.latitude[order], NETWORK.latitude)


def test_of_several_columns_of_a_csv_the_variable_of_the_model_is_read() -> None:
    lines = b"time,station,temperature,wind_speed\n2024-01-01T00:00Z,a,20,3\n2024-01-01T01:00Z,a,21,4\n"
    assert read(lines, Terms(variable="wind")).values.tolist() == [[3], [4]]
    assert read(lines, variable="temperature").values.tolist() == [[20], [21]]
    with pytest.raises(UndecodableInput, match="temperature, wind_speed; expected one"):
        read(lines)


def test_types_of_parquet_columns_do_not_matter() -> None:
    library = pytest.importorskip("pyarrow")
    naive = [datetime(2024, 1, 1, hour) for hour in (0, 1)]
    table = {
        "time": library.array(naive, library.timestamp("ns")),
        "station": library.array([7, 7], library.int32()),
        "value": library.array([20, None], library.int16()),
    }
    history = read(parquet(table), Terms(max_missing=0.5), variable="temperature", missing="interpolate")
    assert history.stations.ids == ("7",)
    assert history.start == datetime(2024, 1, 1, tzinfo=UTC)
    assert history.values.tolist() == [[20], [20]]


def test_npz_by_station_and_with_facts_from_the_request() -> None:
    history = read(npz(values=NETWORK.values.T, station=np.array(NETWORK.ids)), **SAID)
    assert_same(history, NETWORK)
    assert history.stations.ids == NETWORK.ids
