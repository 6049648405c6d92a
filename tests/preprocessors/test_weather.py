"""Histories of weather stations as the model sees them, and forecasts as their senders would write them."""

from typing import Any

import numpy as np
import orjson
import pytest

from preprocessors.base import PayloadError, UndecodableInput
from preprocessors.histories.arrangement import ABSENT
from preprocessors.histories.weather_options import WeatherOptions
from preprocessors.weather import FACTS, ForecastRequest, WeatherPreprocessor
from tests.histories import network, network_npz, npy
from tests.tiny import weather

KNOWN: dict[str, Any] = {
    "stations": ["a", "b", "c"],
    "latitude": [-10.0, -20.0, -30.0],
    "longitude": [-50.0, -60.0, -40.0],
    "elevation": [100.0, 200.0, 600.0],
}
PREPROCESSOR = WeatherPreprocessor(history=6, horizon=4, node=2, branches=(2, 2), **KNOWN)


def body(stations: Any, hours: int = 6, **more: Any) -> bytes:
    names = [s["id"] if isinstance(s, dict) else s for s in stations]
    series = [[10.0 + hour + column for column in range(len(names))] for hour in range(hours)]
    return orjson.dumps({"start_time": "2024-05-01T00:00:00Z", "series": series, "stations": stations, **more})


def decode(payload: bytes, preprocessor: WeatherPreprocessor = PREPROCESSOR, **options: Any) -> Any:
    return preprocessor.decode(payload, WeatherOptions(**options))


def refusal(payload: bytes, **options: Any) -> PayloadError:
    with pytest.raises(UndecodableInput) as caught:
        decode(payload, **options)
    return caught.value


def test_a_view_holds_position_sun_hour_and_the_latest_values_of_every_station() -> None:
    sample = decode(body(["c", "a"], hours=9))
    (slots,) = sample.context.slots
    rows = {("c", "a")[station]: sample.array[slot] for slot, station in enumerate(slots) if station != ABSENT}
    assert len(rows) == 2
    assert np.isnan(sample.array[slots == ABSENT]).all()
    columns = [np.array(KNOWN[name]) for name in ("latitude", "longitude", "elevation")]
    for name, first in (("a", 14.0), ("c", 13.0)):
        index = KNOWN["stations"].index(name)
        standardized = [(column[index] - column.mean()) / column.std() for column in columns]
        assert rows[name][:3] == pytest.approx(standardized, abs=1e-6)
        assert rows[name][3] == pytest.approx(KNOWN["longitude"][index] / 15)
        assert rows[name][4] == 24 * 19844 + 3  # 2024-05-01 is day 19,844 since 1970; three hours are left out
        assert rows[name][FACTS:].tolist() == [first + hour for hour in range(6)]


def test_a_forecast_is_told_in_the_order_and_the_units_of_its_request() -> None:
    sample = decode(body(["c", "a", "b"], units="K", series=[[280.0, 290.0, 300.0]] * 6))
    assert sample.description["units"] == "K"
    assert sample.description["last_time"] == "2024-05-01T05:00:00Z"
    assert sample.context.start_time == "2024-05-01T06:00:00Z"
    # The last value of each station, warmed by a degree every hour
    forecast = sample.array[:, -1:] + np.arange(4, dtype=np.float32)
    assert sample.context.answer([forecast]) == pytest.approx(
        np.array([[280, 290, 300]]) + np.arange(4)[:, None], abs=1e-4
    )
    assert sample.context.history(sample.views) == pytest.approx(np.array([[280.0, 290.0, 300.0]] * 6), abs=1e-4)


def test_no_wind_is_negative() -> None:
    asked = ForecastRequest("wind", "km/h", "", ("x",), 2, (np.array([0, ABSENT]),))
    assert asked.answer([np.array([[-3.0, 5.0, 9.0], [1, 1, 1]], np.float32)]).tolist() == [[0.0], [18.0]]


def test_a_network_larger_than_the_tree_is_divided_into_views() -> None:
    net = network(steps=6, stations=19)
    sample = decode(network_npz(net), horizon=3)
    assert [len(view) for view in sample.views] == [8, 8, 8]
    told = sample.context.answer([view[:, FACTS:] for view in sample.views])
    assert told == pytest.approx(net.values[:3], abs=1e-4)


def test_known_stations_need_no_position_and_unknown_ones_do() -> None:
    named = decode(body(["a", "b"])).array
    placed = decode(
        body(
            [
                {"id": name, **{key: KNOWN[key][i] for key in ("latitude", "longitude", "elevation")}}
                for i, name in enumerate("ab")
            ]
        )
    ).array
    assert np.array_equal(named, placed, equal_nan=True)
    error = refusal(body(["a", "elsewhere"]))
    assert error.code == "unknown_station"
    assert "'elsewhere'" in error.detail
    assert "send latitude, longitude and elevation" in error.detail


def test_an_array_without_names_is_of_the_known_stations() -> None:
    values = np.arange(18.0).reshape(6, 3)
    sample = decode(npy(values), start_time="2024-05-01")
    assert sample.context.stations == ("a", "b", "c")
    assert sample.context.history(sample.views) == pytest.approx(values, abs=1e-4)
    error = refusal(npy(values[:, :2]), start_time="2024-05-01")
    assert (error.code, "2 stations have no names, and the model knows 3" in error.detail) == ("unknown_station", True)


def test_an_elevation_that_is_not_said_is_that_of_the_nearest_known_station_and_told() -> None:
    sample = decode(body([{"id": "x", "latitude": -29.0, "longitude": -41.0}, "b"]))
    assert sample.description["elevations_assumed"] == 1
    (slots,) = sample.context.slots
    column = np.array(KNOWN["elevation"])
    found = sample.array[list(slots).index(0), 2] * column.std() + column.mean()
    assert found == pytest.approx(600, abs=1e-3)


def test_places_far_off_are_not_extrapolated_to() -> None:
    far = decode(body([{"id": "x", "latitude": 80.0, "longitude": 170.0, "elevation": 8000}])).array[0]
    assert far[:3].tolist() == [3, 3, 3]


def test_who_says_no_horizon_gets_all_that_the_model_can() -> None:
    assert decode(body(["a"])).context.horizon == 4
    assert decode(body(["a"]), horizon=3).context.horizon == 3


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        ({"variable": "wind"}, "wrong_model", "is of wind, this model forecasts temperature"),
        ({"horizon": 5}, "undecodable_input", "horizon of 5 hours is asked for, this model forecasts 1 to 4"),
        ({"hours": 5}, "too_short", "5 hours long, at least 6"),
    ],
)
def test_what_this_model_cannot_do_is_refused(options: dict[str, Any], code: str, reason: str) -> None:
    error = refusal(body(["a"], **options))
    assert error.code == code
    assert reason in error.detail


def test_a_blank_has_the_columns_of_a_real_view_and_no_absent_station() -> None:
    blank, real = PREPROCESSOR.blank(), decode(body(["a"])).array
    assert (blank.shape, blank.dtype) == (real.shape, real.dtype)
    assert np.isfinite(blank).all()


def test_views_of_several_sizes_make_one_batch() -> None:
    preprocessor = WeatherPreprocessor(node=2, branches=(3, 2))
    views = [preprocessor.decode(weather(0, stations), WeatherOptions()).array for stations in (3, 9)]
    batch = preprocessor.transform(preprocessor.collate(views)).numpy()
    assert batch.shape == (2, 12, 53)
    assert np.array_equal(batch[0, :4], views[0], equal_nan=True)
    assert np.isnan(batch[0, 4:]).all()


def test_it_travels_through_json() -> None:
    from dataclasses import asdict

    again = WeatherPreprocessor(**orjson.loads(orjson.dumps(asdict(PREPROCESSOR))))
    assert again == PREPROCESSOR
    assert np.array_equal(again.blank(), PREPROCESSOR.blank())
