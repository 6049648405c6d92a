"""POST /forecast/weather as its users meet it: any format in, the coming hours out, in their units and their order."""

import io
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import orjson
import pytest
from fastapi.testclient import TestClient

from models.checkpoint import Checkpoint
from service.app import create_app
from service.settings import Settings
from tests.conftest import SharedPath
from tests.histories import Network, long_csv, network, network_npz, wide_csv
from tests.service.conftest import wait_until_ready
from tests.tiny import save_tiny, weather

PATH = "/forecast/weather"


@pytest.fixture(scope="module")
def stations() -> Network:
    return network(steps=48, stations=7, seed=3)


def ask(client: TestClient, content: bytes | dict[str, Any], path: str = PATH, **options: Any) -> Any:
    payload = orjson.dumps(content) if isinstance(content, dict) else content
    response = client.post(path, content=payload, params=options, headers={"Content-Type": "application/json"})
    assert response.status_code == 200, response.text
    return response.json()


def values(answer: dict[str, Any]) -> np.ndarray:
    return np.array(answer["forecast"])


def test_the_answer_says_what_when_where_and_in_which_unit(client: TestClient, stations: Network) -> None:
    answer = ask(client, stations.body(), horizon=6)
    assert answer["variables"] == ["temperature"]
    assert (answer["units"], answer["frequency"], answer["horizon"]) == ("degC", "H", 6)
    assert datetime.fromisoformat(answer["start_time"]) == datetime.fromisoformat(stations.times[-1]).replace(
        hour=(datetime.fromisoformat(stations.times[-1]).hour + 1) % 24
    )
    assert answer["stations"] == list(stations.ids)
    assert values(answer).shape == (6, 7)
    assert answer["input"]["stations"] == 7
    assert np.array_equal(values(answer), values(ask(client, stations.body()))[:6])


def test_every_format_of_the_same_history_has_the_same_forecast(client: TestClient, stations: Network) -> None:
    expected = values(ask(client, stations.body()))
    assert np.isfinite(expected).all()
    forms = {"npz": network_npz(stations), "csv": long_csv(stations, order=1)}
    for name, payload in forms.items():
        requests: tuple[dict[str, Any], ...] = ({"content": payload}, {"files": {"file": payload}})
        for request in requests:
            response = client.post(PATH, **request)
            assert response.status_code == 200, response.text
            assert response.json()["input"]["format"] == name
            order = [response.json()["stations"].index(name) for name in stations.ids]
            assert values(response.json())[:, order] == pytest.approx(expected, abs=1e-4)


def test_fahrenheit_in_fahrenheit_out(client: TestClient, stations: Network) -> None:
    celsius = values(ask(client, stations.body()))
    fahrenheit = ask(client, stations.body(units="degF", series=(1.8 * stations.values + 32).tolist()))
    assert fahrenheit["units"] == "degF"
    assert values(fahrenheit) == pytest.approx(1.8 * celsius + 32, rel=1e-5, abs=1e-4)
    tenths = ask(client, stations.body(units="degC_x10", series=(10 * stations.values).round().tolist()))
    assert values(tenths) == pytest.approx(10 * celsius, rel=1e-5, abs=1e-3)


def test_stations_in_another_order_are_answered_in_that_order(client: TestClient, stations: Network) -> None:
    plain = values(ask(client, stations.body()))
    order = np.random.default_rng(1).permutation(7)
    body = stations.body(series=stations.values[:, order].tolist())
    body["stations"] = [body["stations"][i] for i in order]
    shuffled = ask(client, body)
    assert shuffled["stations"] == [stations.ids[i] for i in order]
    assert values(shuffled) == pytest.approx(plain[:, order], abs=1e-5)


def test_a_constant_series_stays_constant(client: TestClient, stations: Network) -> None:
    still = values(ask(client, stations.body(series=np.full((48, 7), 21.5).tolist())))
    assert np.abs(still - 21.5).max() < 0.5


def test_local_times_with_their_offset_are_the_same_hours(client: TestClient) -> None:
    facts = json.loads(weather(5))
    utc = ask(client, facts | {"start_time": "2024-03-31T00:00:00Z"})  # the clocks of Europe change in this night
    local = ask(client, facts | {"start_time": "2024-03-31T01:00:00+01:00"})
    assert utc["start_time"] == local["start_time"] == "2024-04-02T00:00:00Z"
    assert np.array_equal(values(utc), values(local))


def test_a_leap_day_is_a_day(client: TestClient) -> None:
    answer = ask(client, json.loads(weather(5)) | {"start_time": "2024-02-27T12:00:00Z"})
    assert answer["start_time"] == "2024-02-29T12:00:00Z"


def test_gaps_are_refused_by_place_or_interpolated_on_request(client: TestClient, stations: Network) -> None:
    series = stations.values.tolist()
    series[5][2] = None
    refused = client.post(PATH, json=stations.body(series=series))
    assert (refused.status_code, refused.json()["code"]) == (422, "missing_values")
    assert re.search("T03:00:00Z of station '00009', 1 of 336 are missing", refused.json()["detail"])
    answer = ask(client, stations.body(series=series), missing="interpolate")
    assert answer["input"]["interpolated"] == 1


def test_a_picture_is_drawn_of_it(client: TestClient, stations: Network) -> None:
    by_name = client.post(PATH, json=stations.body(), params={"format": "plot"})
    by_type = client.post(PATH, json=stations.body(), headers={"Accept": "image/svg+xml"})
    for response in (by_name, by_type):
        assert response.headers["Content-Type"] == "image/svg+xml"
        root = ElementTree.fromstring(response.text)
        assert root.tag.endswith("svg")
        assert all(name in response.text for name in stations.ids)


def test_an_array_is_answered_to_those_who_accept_one(client: TestClient, stations: Network) -> None:
    response = client.post(PATH, json=stations.body(), headers={"Accept": "application/x-npy"})
    assert response.headers["Content-Type"] == "application/x-npy"
    assert np.load(io.BytesIO(response.content)) == pytest.approx(values(ask(client, stations.body())), abs=1e-4)


def test_the_model_of_the_other_variable_answers_where_none_is_named(tmp_path: Path) -> None:
    warm = save_tiny("forecast/weather", tmp_path / "warm.safetensors", "warm")
    loaded = Checkpoint.load(warm)
    from dataclasses import replace

    card = replace(loaded.card, name="windy")
    windy = replace(loaded, preprocessor={**loaded.preprocessor, "variable": "wind"}, card=card)
    windy.save(tmp_path / "windy.safetensors")
    settings = Settings(checkpoints=(warm, tmp_path / "windy.safetensors"), device="cpu", decode_workers=1)
    wind = json.loads(weather(1)) | {"variable": "wind", "units": "km/h"}
    with TestClient(create_app(settings)) as client:
        wait_until_ready(client)
        assert ask(client, weather(1))["model"] == "warm"
        answer = ask(client, wind)
        assert (answer["model"], answer["units"], answer["variables"]) == ("windy", "km/h", ["wind"])
        assert values(answer).min() >= 0
        refused = client.post(PATH, json=wind, params={"model": "warm"})
        assert (refused.status_code, refused.json()["code"]) == (422, "wrong_model")


def kserve(stations: Network, **changes: Any) -> dict[str, Any]:
    item = {
        "type": "multivariate_time_series",
        "name": "network",
        "series": stations.values.tolist(),
        "frequency": "H",
        "start_timestamp": stations.times[0],
        "stations": stations.body()["stations"],
        "variable": "temperature",
    }
    return {"model": "tiny-weather", "inputs": [item], "options": {"horizon": 5}, **changes}


def test_the_time_series_protocol_is_answered_in_its_own_shape(client: TestClient, stations: Network) -> None:
    expected = values(ask(client, stations.body()))[:5]
    answer = ask(client, kserve(stations), "/v1/timeseries/forecast")
    assert (answer["status"], answer["model"]) == ("completed", "tiny-weather")
    (content,) = answer["outputs"][0]["content"]
    assert (content["type"], content["name"], content["frequency"]) == ("multivariate_time_series", "network", "H")
    assert np.array(content["mean_forecast"]) == pytest.approx(expected, abs=1e-4)
    columns = [
        {
            "type": "univariate_time_series",
            "name": name,
            "series": series,
            "frequency": "H",
            "start_timestamp": stations.times[0],
            "variable": "temperature",
            **{key: place[key] for key in ("latitude", "longitude", "elevation")},
        }
        for name, series, place in zip(
            stations.ids, stations.values.T.tolist(), stations.body()["stations"], strict=True
        )
    ]
    answer = ask(client, kserve(stations, inputs=columns), "/v1/timeseries/forecast")
    content = answer["outputs"][0]["content"]
    assert [item["name"] for item in content] == list(stations.ids)
    assert pytest.approx(expected, abs=1e-4) == np.array([item["mean_forecast"] for item in content]).T


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"inputs": []}, 400, "malformed_request"),
        ({"inputs": None}, 400, "malformed_request"),
        ({"options": {"horizon": 5, "quantiles": [0.1]}}, 400, "malformed_request"),
        ({"options": {"horizon": 500}}, 422, "undecodable_input"),
        ({"model": "nobody"}, 404, "model_not_found"),
        ({"model": ["x"]}, 422, "invalid_parameter"),
        ({"inputs": [{"series": "x"}]}, 422, "undecodable_input"),
        ({"inputs": [{"series": []}]}, 422, "undecodable_input"),
    ],
)
def test_a_bad_time_series_request_is_a_problem(
    client: TestClient, stations: Network, changes: dict[str, Any], status: int, code: str
) -> None:
    response = client.post("/v1/timeseries/forecast", json=kserve(stations, **changes))
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


def test_hours_of_wide_tables_are_rows(client: TestClient) -> None:
    net = network(steps=48, stations=3)
    refused = client.post(PATH, content=wide_csv(net))
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_station")  # a wide table has no positions


def test_real_requests_are_answered_and_damaged_ones_refused(client: TestClient, shared_path: SharedPath) -> None:
    answered = {"constant", "elev_dead_sea", "elev_null", "lat_south_pole", "len_49", "lon_dateline"}
    for path in sorted(shared_path("data/weather/requests").glob("*.json")):
        response = client.post(PATH, content=path.read_bytes(), headers={"Content-Type": "application/json"})
        good = path.stem.startswith("ok_") or path.stem in answered
        if good and "wind" not in path.stem:
            assert response.status_code == 200, (path.stem, response.text)
        else:
            assert response.status_code == 422, (path.stem, response.text)
            assert len(response.json()["detail"]) > 20
