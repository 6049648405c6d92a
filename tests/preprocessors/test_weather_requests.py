"""Requests of weather stations as clients may send them, good and damaged: read to the number, or refused by name."""

import json
import re

import numpy as np
import pytest

from preprocessors.base import PayloadError
from preprocessors.histories.history_reader import read_history
from preprocessors.histories.terms import Terms
from preprocessors.histories.weather_options import WeatherOptions
from tests.conftest import SharedPath

TERMS = Terms(min_steps=48, positions=True)
FOLDER = "data/weather/requests"
GOOD = (
    *("constant", "elev_dead_sea", "elev_null", "lat_south_pole", "len_49", "lon_dateline"),
    *("ok_3st_96h", "ok_64st_48h", "ok_8st_48h_temperature", "ok_8st_48h_wind"),
)
REFUSED = {
    "all_kelvin": ("undecodable_input", r"295\.15 degC, expected -90 to 60; it would be in range as K"),
    "all_null": ("missing_values", r"2024-01-01T00:00:00Z of station 'A001', 384 of 384"),
    "bad_date": ("undecodable_input", "2024-02-30T00:00Z"),
    "date_dmy": ("undecodable_input", "31/12/2023.*ISO 8601"),
    "duplicate_station": ("undecodable_input", "'A001' occurs twice"),
    "lat_1e308": ("undecodable_input", r"latitude of station 'A001' is 1e\+308"),
    "lat_91": ("undecodable_input", "latitude of station 'A001' is 91, expected -90 to 90"),
    "lat_string": ("undecodable_input", "latitude of station 'A001' is '12S'.*south and west are negative"),
    "len_1": ("too_short", "1 hours.*48"),
    "len_23": ("too_short", "23 hours.*48"),
    "len_47": ("too_short", "47 hours.*48"),
    "negative_wind": ("undecodable_input", r"-1\.5 m/s, expected 0 to 120"),
    "ragged": ("undecodable_input", "station 2 has the values of 30 hours, those before it of 48"),
    "raw_array_root": ("undecodable_input", r"JSON is \[\], expected an object"),
    "raw_bigint": ("undecodable_input", "malformed"),
    "raw_deep_nesting": ("undecodable_input", "depth"),
    "raw_dup_keys": ("undecodable_input", "nothing says its variable"),
    "raw_inf_literal": ("undecodable_input", "Infinity"),
    "raw_invalid_utf8": ("undecodable_input", "UTF-8"),
    "raw_null_root": ("undecodable_input", "JSON is None, expected an object"),
    "raw_truncated": ("undecodable_input", "unexpected end"),
    "unknown_variable": ("undecodable_input", "'rain', expected one of temperature, wind"),
    "value_1e308": ("undecodable_input", r"2024-01-01T05:00:00Z of station 'A001' is 1e\+308"),
    "value_kelvin_mixed": ("undecodable_input", r"05:00:00Z of station 'A001' is 288\.15 degC.* as K"),
    "value_list": ("undecodable_input", r"hour 5 of station 0.* is \[1\]"),
    "value_sentinel_-999.9": ("undecodable_input", r"-999\.9 degC.*missing value.*send null"),
    "value_sentinel_9999.9": ("undecodable_input", r"9999\.9 degC.*missing value.*send null"),
    "zero_stations": ("undecodable_input", "no stations"),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_requests_are_read_to_the_number(name: str, shared_path: SharedPath) -> None:
    payload = shared_path(f"{FOLDER}/{name}.json").read_bytes()
    expected = json.loads(payload)
    _, history = read_history(payload, terms=TERMS)
    assert np.array_equal(history.values, np.array(expected["values"]).T)
    assert history.variable == expected["variable"].removesuffix("_speed")
    assert history.units == expected["unit"]
    assert history.start.isoformat() == expected["start"].replace("Z", "+00:00")
    assert history.stations.ids == tuple(station["id"] for station in expected["stations"])
    elevation = np.array([station["elevation_m"] for station in expected["stations"]], np.float64)
    assert np.array_equal(history.stations.elevation, elevation, equal_nan=True)


@pytest.mark.parametrize("name", REFUSED)
def test_damaged_requests_are_refused_by_their_fault(name: str, shared_path: SharedPath) -> None:
    code, detail = REFUSED[name]
    with pytest.raises(PayloadError) as refusal:
        read_history(shared_path(f"{FOLDER}/{name}.json").read_bytes(), terms=TERMS)
    assert refusal.value.code == code
    assert re.search(detail, refusal.value.detail), refusal.value.detail


def test_no_request_is_left_out(shared_path: SharedPath) -> None:
    names = {path.stem for path in shared_path(FOLDER).glob("*.json")}
    assert names == {*GOOD, *REFUSED}


def test_an_unknown_elevation_is_refused_where_the_model_needs_it(shared_path: SharedPath) -> None:
    payload = shared_path(f"{FOLDER}/elev_null.json").read_bytes()
    with pytest.raises(PayloadError, match="station 'A001' has no elevation"):
        read_history(payload, WeatherOptions(), Terms(elevations=True))
