import base64
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.service.conftest import encoded, picture
from tests.tiny import TINY

PICTURES = [encoded(picture(seed)) for seed in range(2)]
TEXTS = [base64.b64encode(file).decode() for file in PICTURES]


def ask(client: TestClient, **body: Any) -> Any:
    response = client.post("/v1/embeddings", json={"model": "tiny", **body})
    assert response.status_code == 200, response.text
    return response.json()


def own(client: TestClient, file: bytes, path: str = "/embed/image", **options: Any) -> list[float]:
    vector: list[float] = client.post(path, content=file, params=options).json()["data"][0]["embedding"]
    return vector


def test_vectors_are_those_of_the_services_own_endpoint(client: TestClient) -> None:
    answer = ask(client, input=TEXTS)
    assert (answer["object"], answer["model"]) == ("list", "tiny")
    assert answer["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
    assert [(item["object"], item["index"]) for item in answer["data"]] == [("embedding", 0), ("embedding", 1)]
    for item, file in zip(answer["data"], PICTURES, strict=True):
        assert item["embedding"] == pytest.approx(own(client, file), abs=1e-5)


def test_one_input_may_stand_by_itself_as_a_data_uri(client: TestClient) -> None:
    (item,) = ask(client, input=f"data:image/png;base64,{TEXTS[0]}")["data"]
    assert item["embedding"] == pytest.approx(own(client, PICTURES[0]), abs=1e-5)


def test_vectors_come_in_base64(client: TestClient) -> None:
    (item,) = ask(client, input=TEXTS[0], encoding_format="base64")["data"]
    vector = np.frombuffer(base64.b64decode(item["embedding"]), "<f4")
    assert vector == pytest.approx(own(client, PICTURES[0]), abs=1e-5)


def test_other_members_are_options_of_the_model(client: TestClient) -> None:
    (item,) = ask(client, input=TEXTS[0], normalize=True, user="me")["data"]
    assert np.linalg.norm(item["embedding"]) == pytest.approx(1, abs=1e-5)


def test_every_sense_that_embeds_is_reached(client: TestClient) -> None:
    for model in client.get("/models").json():
        embeds = next((path for path in model["endpoints"] if path.startswith("/embed/")), None)
        file = TINY[model["task"]].payload(0)
        body = {"model": model["name"], "input": base64.b64encode(file).decode()}
        response = client.post("/v1/embeddings", json=body)
        if embeds is None:
            assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_parameter")
        else:
            vector = response.json()["data"][0]["embedding"]
            assert vector == pytest.approx(own(client, file, embeds), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("body", "status", "code", "told"),
    [
        ({"model": "tiny"}, 400, "malformed_request", "input"),
        ({"input": TEXTS}, 400, "malformed_request", "model"),
        ({"model": "tiny", "input": []}, 400, "malformed_request", "input is empty"),
        ({"model": "tiny", "input": [1, 2]}, 400, "malformed_request", "input"),
        ({"model": "tiny", "input": "words, words"}, 400, "malformed_request", "input 0 is not base64"),
        ({"model": "tiny", "input": "https://example.org/a.png"}, 400, "malformed_request", "does not fetch"),
        ({"model": "tiny", "input": [TEXTS[0]] * 5}, 413, "too_many_items", "the limit is 4"),
        ({"model": "tiny", "input": TEXTS, "dimensions": 3}, 422, "invalid_parameter", "dimensions"),
        ({"model": "tiny", "input": TEXTS, "encoding_format": "hex"}, 422, "invalid_parameter", "encoding_format"),
        ({"model": "nobody", "input": TEXTS}, 404, "model_not_found", "available: tiny"),
        (
            {"model": "tiny", "input": "dGV4dA=="},
            415,
            "unsupported_media_type",
            "unrecognized image format",
        ),
        ([], 400, "malformed_request", "expected"),
    ],
)
def test_refusals_are_in_openais_shape(client: TestClient, body: Any, status: int, code: str, told: str) -> None:
    response = client.post("/v1/embeddings", json=body)
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, code)
    assert told in error["message"]
