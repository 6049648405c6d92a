import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from models.checkpoint import Checkpoint
from models.heads.classification import ClassificationHead
from preprocessors.image import ImageOptions, ImagePreprocessor
from tests.conftest import LABELS
from tests.service.conftest import encoded, picture

PNG = encoded(picture())


def expected_logits(path: Path, payload: bytes) -> torch.Tensor:
    """What the checkpoint says of a file, without any of the service."""
    checkpoint = Checkpoint.load(path)
    preprocessor = ImagePreprocessor(**checkpoint.preprocessor)
    raster = torch.from_numpy(preprocessor.decode(payload, ImageOptions()).array)
    with torch.inference_mode():
        logits: torch.Tensor = checkpoint.build(ClassificationHead)(preprocessor.transform(raster[None]))["logits"]
    return logits[0]


def post(client: TestClient, path: str = "/classify/image", **request: Any) -> Any:
    response = client.post(path, **request)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_answer_is_what_the_model_says(client: TestClient, tiny_checkpoint: Path) -> None:
    answer = post(client, files={"file": PNG}, params={"top_k": 0})
    scores = expected_logits(tiny_checkpoint, PNG).softmax(0)
    assert [item["class_id"] for item in answer["predictions"]] == scores.argsort(descending=True).tolist()
    for item in answer["predictions"]:
        assert item["label"] == LABELS[item["class_id"]]
        assert item["score"] == pytest.approx(scores[item["class_id"]].item(), abs=1e-5)


def test_the_answer_says_who_answered_and_what_was_seen(client: TestClient) -> None:
    response = client.post("/classify/image", content=PNG, headers={"X-Request-Id": "abc-1"})
    answer = response.json()
    assert answer["id"] == response.headers["X-Request-Id"] == "abc-1"
    assert (answer["model"], answer["task"], answer["modality"]) == ("tiny", "classify/image", "image")
    assert answer["model_version"].startswith("sha256:")
    assert answer["input"] == {"width": 48, "height": 40, "format": "png", "bytes": len(PNG)}
    assert answer["timing_ms"].keys() == {"decode", "queue", "forward", "total"}
    assert answer["batch_size"] == 1
    assert "forward;dur=" in response.headers["Server-Timing"]


def test_multipart_raw_body_and_json_get_the_same_answer(client: TestClient) -> None:
    text = base64.b64encode(PNG).decode()
    requests: list[dict[str, Any]] = [
        {"files": {"file": PNG}},
        {"files": {"data": ("a.bin", PNG, "application/octet-stream")}},
        {"content": PNG, "headers": {"Content-Type": "image/png"}},
        {"content": PNG, "headers": {"Content-Type": "application/octet-stream"}},
        {"content": PNG, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"json": {"inputs": text}},
        {"json": {"inputs": f"data:image/png;base64,{text}"}},
    ]
    answers = [post(client, **request)["predictions"] for request in requests]
    assert all(answer == answers[0] for answer in answers)


def test_options_come_by_query_form_field_or_json_parameters(client: TestClient) -> None:
    requests: list[dict[str, Any]] = [
        {"files": {"file": PNG}, "params": {"top_k": 2}},
        {"files": {"file": PNG}, "data": {"top_k": "2"}},
        {"json": {"inputs": base64.b64encode(PNG).decode(), "parameters": {"top_k": 2}}},
    ]
    assert [len(post(client, **request)["predictions"]) for request in requests] == [2, 2, 2]


def test_several_files_are_answered_in_their_order(client: TestClient) -> None:
    pictures = [encoded(picture(seed)) for seed in range(4)]
    together = post(client, files=[("file", data) for data in pictures])["results"]
    alone = [post(client, content=data) for data in pictures]
    assert [item["predictions"] for item in together] == [
        [{**label, "score": pytest.approx(label["score"], abs=1e-5)} for label in answer["predictions"]]
        for answer in alone
    ]
    assert len({item["predictions"][0]["score"] for item in together}) == 4


def test_a_json_list_of_one_is_answered_with_a_list(client: TestClient) -> None:
    assert len(post(client, json={"inputs": [base64.b64encode(PNG).decode()]})["results"]) == 1


@pytest.mark.parametrize(
    ("function", "apply"),
    [("softmax", lambda x: x.softmax(0)), ("sigmoid", torch.sigmoid), ("none", lambda x: x)],
)
def test_scores_are_made_as_asked(client: TestClient, tiny_checkpoint: Path, function: str, apply: Any) -> None:
    answer = post(client, content=PNG, params={"function_to_apply": function, "top_k": 1})
    expected = apply(expected_logits(tiny_checkpoint, PNG)).max().item()
    assert answer["predictions"][0]["score"] == pytest.approx(expected, rel=1e-5)


def test_hf_format_is_the_bare_list(client: TestClient) -> None:
    answer = post(client, content=PNG, params={"format": "hf", "top_k": 2})
    assert [item.keys() for item in answer] == [{"label", "score"}] * 2


def test_embeddings_come_as_floats_base64_or_npy(client: TestClient) -> None:
    floats = post(client, "/embed/image", content=PNG)
    assert (floats["object"], floats["dim"], floats["usage"]) == ("list", 32, {"items": 1})
    vector = np.array(floats["data"][0]["embedding"], np.float32)
    text = post(client, "/embed/image", content=PNG, params={"encoding_format": "base64"})["data"][0]["embedding"]
    npy = client.post("/embed/image", content=PNG, headers={"Accept": "application/x-npy"})
    assert np.array_equal(np.frombuffer(base64.b64decode(text), "<f4"), vector)
    assert np.array_equal(np.load(io.BytesIO(npy.content))[0], vector)


def test_normalised_embeddings_have_length_one(client: TestClient) -> None:
    vector = post(client, "/embed/image", content=PNG, params={"normalize": True})["data"][0]["embedding"]
    assert np.linalg.norm(vector) == pytest.approx(1.0, rel=1e-5)


def test_top_k_beyond_the_labels_is_refused(client: TestClient) -> None:
    response = client.post("/classify/image", content=PNG, params={"top_k": 6})
    assert response.status_code == 422
    assert response.json()["detail"] == "top_k is 6, expected 0 (all) to 5, the labels known"
