"""The Open Inference Protocol, byte by byte; tests/service/test_protocol_clients.py asks with its clients."""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from service.tasks import TASKS
from tests.conftest import LABELS
from tests.service.conftest import encoded, picture
from tests.service.test_routes import expected_logits
from tests.tiny import TINY

PNG = encoded(picture())
LENGTH = "Inference-Header-Content-Length"


def image(*files: bytes, **changes: Any) -> dict[str, Any]:
    data = [base64.b64encode(file).decode() for file in files or (PNG,)]
    return {"name": "image", "shape": [len(data)], "datatype": "BYTES", "data": data, **changes}


def infer(client: TestClient, body: Any, model: str = "tiny", status: int = 200) -> Any:
    response = client.post(f"/v2/models/{model}/infer", json=body)
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    return response.json()


def tensors(answer: dict[str, Any]) -> dict[str, Any]:
    return {output["name"]: output for output in answer["outputs"]}


def binary_tensors(response: Any) -> dict[str, tuple[dict[str, Any], bytes]]:
    """What is said of each tensor, and its bytes."""
    length = int(response.headers[LENGTH])
    head, rest, found = json.loads(response.content[:length]), response.content[length:], {}
    for output in head["outputs"]:
        size = output["parameters"]["binary_data_size"]
        found[output["name"]] = (output, rest[:size])
        rest = rest[size:]
    assert rest == b""
    return found


def binary_request(body: dict[str, Any], data: bytes) -> dict[str, Any]:
    head = json.dumps(body).encode()
    return {"content": head + data, "headers": {LENGTH: str(len(head)), "Content-Type": "application/octet-stream"}}


def elements(*files: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(file)) + file for file in files)


def test_the_server_and_its_models_say_what_they_are(client: TestClient) -> None:
    about = client.get("/v2").json()
    assert about["name"] == "unireplknet-service"
    assert {"binary_tensor_data", "classification", "model_repository", "statistics"} < set(about["extensions"])
    assert client.get("/v2/models").json()["models"][0] == "tiny"
    model = client.get("/v2/models/tiny").json()
    assert model["versions"] == [client.get("/models/tiny").json()["version"]]
    assert model["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert {output["name"]: output["shape"] for output in model["outputs"]} == {
        "scores": [-1, 5],
        "logits": [-1, 5],
        "label": [-1],
        "embedding": [-1, 32],
    }
    assert client.get(f"/v2/models/tiny/versions/{model['versions'][0]}").json() == model
    config = client.get("/v2/models/tiny/config").json()
    assert config["output"][0] == {"name": "scores", "data_type": "TYPE_FP32", "dims": [-1, 5]}


def test_probes_tell_by_their_status(client: TestClient) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/tiny/ready").json() == {"name": "tiny", "ready": True}


def test_json_tensors_are_what_the_model_says(client: TestClient, tiny_checkpoint: Path) -> None:
    files = [encoded(picture(seed)) for seed in range(3)]
    answer = infer(client, {"id": "abc", "inputs": [image(*files)]})
    assert (answer["id"], answer["model_name"]) == ("abc", "tiny")
    assert answer["model_version"].startswith("sha256:")
    found = tensors(answer)
    logits = torch.stack([expected_logits(tiny_checkpoint, file) for file in files])
    assert found["logits"]["shape"] == found["scores"]["shape"] == [3, 5]
    assert found["logits"]["data"] == pytest.approx(logits.flatten().tolist(), abs=1e-4)
    assert found["scores"]["data"] == pytest.approx(logits.softmax(1).flatten().tolist(), abs=1e-5)
    assert found["label"]["data"] == [LABELS[i] for i in logits.argmax(1)]
    assert (found["embedding"]["datatype"], found["embedding"]["shape"]) == ("FP32", [3, 32])


def test_outputs_are_those_that_were_asked_for_in_their_order(client: TestClient) -> None:
    answer = infer(client, {"inputs": [image()], "outputs": [{"name": "label"}, {"name": "scores"}]})
    assert [output["name"] for output in answer["outputs"]] == ["label", "scores"]


def test_binary_tensors_are_the_same_as_json(client: TestClient) -> None:
    plain = tensors(infer(client, {"inputs": [image(PNG, PNG)]}))
    told = image(PNG, PNG, parameters={"binary_data_size": 2 * len(PNG) + 8})
    del told["data"]
    request = binary_request({"inputs": [told], "parameters": {"binary_data_output": True}}, elements(PNG, PNG))
    response = client.post("/v2/models/tiny/infer", **request)
    assert response.headers["Content-Type"] == "application/octet-stream"
    found = binary_tensors(response)
    for name in ("scores", "logits", "embedding"):
        assert np.frombuffer(found[name][1], "<f4").tolist() == pytest.approx(plain[name]["data"], abs=1e-5)
    label = plain["label"]["data"][0].encode()
    assert found["label"][1] == elements(label, label)


def test_one_output_may_be_binary_and_another_not(client: TestClient) -> None:
    wanted = [{"name": "logits", "parameters": {"binary_data": True}}, {"name": "label"}]
    response = client.post("/v2/models/tiny/infer", json={"inputs": [image()], "outputs": wanted})
    logits, label = json.loads(response.content[: int(response.headers[LENGTH])])["outputs"]
    assert (logits["parameters"], "data" in logits) == ({"binary_data_size": 20}, False)
    assert label["data"][0] in LABELS


def test_a_body_without_json_is_one_file_and_is_answered_in_binary(client: TestClient) -> None:
    response = client.post("/v2/models/tiny/infer", content=PNG, headers={LENGTH: "0"})
    assert response.status_code == 200, response.text
    expected = tensors(infer(client, {"inputs": [image()]}))["logits"]["data"]
    assert np.frombuffer(binary_tensors(response)["logits"][1], "<f4").tolist() == pytest.approx(expected, abs=1e-5)


def test_the_classification_extension_ranks_labels(client: TestClient) -> None:
    wanted = [{"name": "scores", "parameters": {"classification": 2}}, {"name": "logits"}]
    found = tensors(infer(client, {"inputs": [image(PNG, PNG)], "outputs": wanted}))
    logits = np.array(found["logits"]["data"][:5])
    assert (found["scores"]["datatype"], found["scores"]["shape"]) == ("BYTES", [2, 2])
    score, place, label = found["scores"]["data"][0].split(":")
    best = int(logits.argmax())
    assert (int(place), label) == (best, LABELS[best])
    assert float(score) == pytest.approx(np.exp(logits).max() / np.exp(logits).sum(), abs=1e-5)


def test_options_of_the_model_come_as_parameters(client: TestClient) -> None:
    plain = tensors(infer(client, {"inputs": [image()], "parameters": {"function_to_apply": "none"}}))
    assert plain["scores"]["data"] == plain["logits"]["data"]
    refused = infer(client, {"inputs": [image()], "parameters": {"colour": 1}}, status=422)
    assert "colour" in refused["error"]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_answers(client: TestClient, task: str) -> None:
    model = next(item for item in client.get("/models").json() if item["task"] == task)
    about = client.get(f"/v2/models/{model['name']}").json()
    data = base64.b64encode(TINY[task].payload(0)).decode()
    body = {"inputs": [{**about["inputs"][0], "shape": [1], "data": [data]}]}
    found = tensors(infer(client, body, model["name"]))
    for output in about["outputs"]:
        shape = found[output["name"]]["shape"]
        assert [size for size, told in zip(shape, output["shape"], strict=True) if told not in (-1, size)] == []
        assert len(found[output["name"]]["data"]) == np.prod(shape)


def test_a_forecast_is_that_of_its_own_endpoint(client: TestClient) -> None:
    history = TINY["forecast/weather"].payload(0)
    own = client.post("/forecast/weather", content=history).json()
    body = {"name": "weather", "shape": [1, 1], "datatype": "BYTES", "data": [[history.decode()]]}
    found = tensors(infer(client, {"inputs": [{**body, "parameters": {"content_type": "str"}}]}, "tiny-weather"))
    assert found["forecast"]["shape"] == [1, own["horizon"], len(own["stations"])]
    assert found["forecast"]["data"] == pytest.approx(np.ravel(own["forecast"]).tolist(), abs=1e-4)
    assert found["stations"]["data"] == own["stations"]
    assert (found["units"]["data"], found["start_time"]["data"]) == ([own["units"]], [own["start_time"]])


def test_several_histories_of_one_shape_are_answered_together(client: TestClient) -> None:
    histories = [base64.b64encode(TINY["forecast/weather"].payload(seed)).decode() for seed in range(2)]
    body = {"name": "weather", "shape": [2], "datatype": "BYTES", "data": histories}
    assert tensors(infer(client, {"inputs": [body]}, "tiny-weather"))["units"]["data"] == ["degC", "degC"]


BAD: list[tuple[str, dict[str, Any], int, str]] = [
    ("no inputs", {"inputs": []}, 400, "inputs"),
    ("inputs of another name", {"inputs": [image(name="pixels")]}, 400, "expected a single one named 'image'"),
    ("two inputs", {"inputs": [image(), image()]}, 400, "expected a single one named 'image'"),
    ("numbers", {"inputs": [image(datatype="FP32")]}, 400, "expected BYTES"),
    ("another count", {"inputs": [image(shape=[2])]}, 400, "has 1 elements"),
    ("nothing", {"inputs": [image(shape=[0], data=[])]}, 400, "at least one file"),
    ("a negative shape", {"inputs": [image(shape=[-1])]}, 400, "shape"),
    ("a huge shape", {"inputs": [image(shape=[10**9, 10**9])]}, 413, "the limit is 4"),
    ("many axes", {"inputs": [image(shape=[1] * 9)]}, 400, "shape"),
    ("no data", {"inputs": [image(data=None)]}, 400, "either data or"),
    ("data twice", {"inputs": [image(parameters={"binary_data_size": 3})]}, 400, "either data or"),
    ("no base64", {"inputs": [image(data=["%%"])]}, 400, "input 0 is not base64"),
    ("nested data", {"inputs": [image(data=[["a"]])]}, 400, "input 0 is a list"),
    (
        "a number for a text",
        {"inputs": [image(data=[1], parameters={"content_type": "str"})]},
        400,
        "expected a string",
    ),
    ("an unknown output", {"inputs": [image()], "outputs": [{"name": "boxes"}]}, 400, "expected any of: scores"),
    ("an id that is none", {"id": 5, "inputs": [image()]}, 400, "id"),
    ("a bad timeout", {"inputs": [image()], "parameters": {"timeout": -1}}, 422, "microseconds"),
    ("a list", [], 400, "not a request"),  # type: ignore[list-item]
    (
        "a wrong class count",
        {"inputs": [image()], "outputs": [{"name": "scores", "parameters": {"classification": 0}}]},
        422,
        "classification is 0",
    ),
    (
        "no ranks of vectors",
        {"inputs": [image()], "outputs": [{"name": "embedding", "parameters": {"classification": 3}}]},
        422,
        "and scores or logits",
    ),
    ("no picture", {"inputs": [image(b"text")]}, 415, "unrecognized image format"),
]


@pytest.mark.parametrize(("body", "status", "told"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_requests_are_refused_with_the_reason(client: TestClient, body: Any, status: int, told: str) -> None:
    answer = infer(client, body, status=status)
    assert answer.keys() == {"error"}
    assert told in answer["error"]


@pytest.mark.parametrize(
    ("length", "content", "told"),
    [
        ("-1", b"{}", "expected the length of the JSON"),
        ("3", b"{}", "expected the length of the JSON"),
        ("x", b"{}", "expected the length of the JSON"),
        ("9" * 30, b"{}", "expected the length of the JSON"),
        ("2", b"{}x", "inputs"),
        ("1", b"{}", "not JSON"),
    ],
)
def test_bad_lengths_are_refused(client: TestClient, length: str, content: bytes, told: str) -> None:
    response = client.post("/v2/models/tiny/infer", content=content, headers={LENGTH: length})
    assert response.status_code == 400
    assert told in response.json()["error"]


@pytest.mark.parametrize(
    "data",
    [b"", b"\x01", struct.pack("<I", 5) + b"four", elements(b"a", b"b"), struct.pack("<I", 0xFFFFFFFF) + b"a"],
)
def test_binary_data_that_is_not_what_it_says_is_refused(client: TestClient, data: bytes) -> None:
    told = image(parameters={"binary_data_size": len(data)})
    del told["data"]
    response = client.post("/v2/models/tiny/infer", **binary_request({"inputs": [told]}, data))
    assert response.status_code == 400
    assert "error" in response.json()


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    response = client.post("/v2/models/tiny/infer", content=b"x", headers={"Content-Encoding": "gzip"})
    assert response.status_code == 415
    assert "gzip" in response.json()["error"]


@pytest.mark.parametrize("path", ["nobody", "nobody/ready", "nobody/stats", "tiny/versions/1", "tiny/versions/1/ready"])
def test_what_is_not_there_is_404_in_the_shape_of_the_protocol(client: TestClient, path: str) -> None:
    response = client.get(f"/v2/models/{path}")
    assert (response.status_code, response.json().keys()) == (404, {"error"})


def test_a_timeout_of_the_protocol_is_a_deadline(client: TestClient) -> None:
    answer = infer(client, {"inputs": [image()], "parameters": {"timeout": 1}}, status=504)
    assert "deadline exceeded" in answer["error"]


def test_statistics_count_what_was_asked(client: TestClient) -> None:
    def told() -> dict[str, Any]:
        stats: dict[str, Any] = client.get("/v2/models/tiny-audio/stats").json()["model_stats"][0]
        return stats

    before = told()
    payload = TINY["classify/audio"].payload(0)
    files = [("file", payload)] * 3
    assert client.post("/classify/audio", files=files).status_code == 200
    assert client.post("/classify/audio", content=b"nothing to hear").status_code == 415
    after = told()
    assert after["inference_count"] - before["inference_count"] == 3
    assert 1 <= after["execution_count"] - before["execution_count"] <= 3
    stats, then = after["inference_stats"], before["inference_stats"]
    assert stats["success"]["count"] - then["success"]["count"] == 3
    assert stats["fail"]["count"] - then["fail"]["count"] == 1
    assert stats["compute_infer"]["ns"] > then["compute_infer"]["ns"]
    assert (
        sum(item["batch_size"] * item["compute_infer"]["count"] for item in after["batch_stats"])
        == 3 + (before["inference_count"])
    )


def test_the_index_names_what_is_served(client: TestClient) -> None:
    for body in ({}, {"ready": True}):
        index = client.post("/v2/repository/index", json=body).json()
        assert [entry["name"] for entry in index] == list(client.get("/v2/models").json()["models"])
        assert {entry["state"] for entry in index} == {"READY"}
    assert client.post("/v2/repository/index").status_code == 200


def test_only_administrators_change_the_repository(client: TestClient) -> None:
    for verb in ("load", "unload"):
        response = client.post(f"/v2/repository/models/tiny/{verb}", json={})
        assert (response.status_code, "--admin-keys" in response.json()["error"]) == (403, True)
