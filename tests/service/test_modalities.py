"""What holds of every modality, over HTTP, without a word about any one of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from models.checkpoint import Checkpoint
from models.precision import Precision
from service.pipeline import load_pipeline
from service.settings import Settings
from service.tasks import TASKS
from tests.conftest import LABELS
from tests.tiny import TINY

EVERY_TASK = pytest.mark.parametrize("task", TASKS)
CLASSIFIED = pytest.mark.parametrize("task", [path for path in TASKS if path.startswith("classify/")])
EMBEDDED = pytest.mark.parametrize("task", [path for path, task in TASKS.items() if task.postprocessor.embeds])
SEVERAL_VIEWS = {
    "classify/audio": ({"windows": 3}, 3),
    "classify/video": ({"clips": 2, "crops": 3}, 6),
}


@pytest.fixture(scope="module")
def checkpoints(tiny_checkpoints: tuple[Path, ...]) -> dict[str, Path]:
    return dict(zip(TINY, tiny_checkpoints, strict=True))


def post(client: TestClient, path: str, payload: bytes, **options: Any) -> Any:
    response = client.post(f"/{path}", content=payload, params=options)
    assert response.status_code == 200, response.text
    return response.json()


def test_there_is_a_tiny_model_for_every_task() -> None:
    assert TINY.keys() == TASKS.keys()


@EVERY_TASK
def test_the_networks_of_a_task_are_those_that_its_line_names(task: str) -> None:
    head, embedding = TASKS[task].networks()
    tiny = TINY[task]
    assert (head, embedding) == (tiny.head_type, tiny.embedding_type)
    made = head(**tiny.head_options(32)).postprocessor
    assert type(made) is TASKS[task].postprocessor


@CLASSIFIED
def test_the_answer_is_what_the_checkpoint_says(client: TestClient, checkpoints: dict[str, Path], task: str) -> None:
    payload, checkpoint = TINY[task].payload(1), Checkpoint.load(checkpoints[task])
    preprocessor = TASKS[task].preprocessor(**checkpoint.preprocessor)
    view = preprocessor.decode(payload, preprocessor.option_type()).array
    with torch.inference_mode():
        x = preprocessor.transform(torch.from_numpy(view)[None])
        scores = checkpoint.build(*TASKS[task].networks())(x)["logits"][0].softmax(0)
    answer = post(client, task, payload, top_k=0)
    assert [item["label"] for item in answer["predictions"]] == [LABELS[i] for i in scores.argsort(descending=True)]
    found = {item["class_id"]: item["score"] for item in answer["predictions"]}
    assert all(found[i] == pytest.approx(score.item(), abs=1e-5) for i, score in enumerate(scores))
    assert answer["input"]["bytes"] == len(payload)
    assert "views" not in answer


@EVERY_TASK
def test_neighbours_in_a_batch_do_not_change_an_answer(checkpoints: dict[str, Path], task: str) -> None:
    pipeline = load_pipeline(checkpoints[task], Settings(device="cpu"))
    options = pipeline.preprocessor.option_type()
    views = [pipeline.preprocessor.decode(TINY[task].payload(seed), options).array for seed in range(24)]
    name = TINY[task].row
    alone = np.stack([pipeline.run([view])[0][name] for view in views])
    assert np.ptp(alone, axis=0).max() > 0.01 * np.abs(alone).max()  # the inputs are told apart
    for size in (2, 3, 16):
        rows = [row for i in range(0, len(views), size) for row in pipeline.run(views[i : i + size])]
        batched = np.stack([row[name] for row in rows])
        assert np.array_equal(batched.reshape(len(views), -1).argmax(1), alone.reshape(len(views), -1).argmax(1))
        assert np.abs(batched - alone).max() <= 1e-5 * np.abs(alone).max()


@EVERY_TASK
def test_half_precision_gives_nearly_the_same_scores(checkpoints: dict[str, Path], task: str) -> None:
    exact = load_pipeline(checkpoints[task], Settings(device="cpu"))
    rounded = load_pipeline(checkpoints[task], Settings(device="cpu", precision=Precision.BFLOAT16, runtime="torch"))
    views = [exact.preprocessor.decode(TINY[task].payload(s), exact.preprocessor.option_type()).array for s in range(8)]
    expected, found = (np.stack([row[TINY[task].row] for row in p.run(views)]) for p in (exact, rounded))
    assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected)


@EVERY_TASK
def test_a_blank_is_shaped_as_a_real_input_is(task: str) -> None:
    preprocessor = TINY[task].preprocessor
    view = preprocessor.decode(TINY[task].payload(0), preprocessor.option_type()).array
    blank = preprocessor.blank()
    assert (blank.shape, blank.dtype) == (view.shape, view.dtype)


@EMBEDDED
def test_the_embedding_is_the_normalised_vector_behind_the_answer(client: TestClient, task: str) -> None:
    modality = task.rpartition("/")[2]
    answer = post(client, f"embed/{modality}", TINY[task].payload(0), normalize=True)
    vector = np.array(answer["data"][0]["embedding"])
    assert answer["dim"] == len(vector) == 32 * TINY[task].maps
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@EMBEDDED
def test_an_embedding_tells_what_it_is_of(client: TestClient, task: str) -> None:
    options, _ = SEVERAL_VIEWS.get(task, ({}, 1))
    embedded = post(client, f"embed/{task.rpartition('/')[2]}", TINY[task].payload(3), **options)
    assert embedded["data"][0]["input"] == post(client, task, TINY[task].payload(3), **options)["input"]


@EVERY_TASK
def test_files_of_other_modalities_are_refused_by_what_they_hold(client: TestClient, task: str) -> None:
    for other in TINY.keys() - {task}:
        response = client.post(f"/{task}", content=TINY[other].payload(0))
        assert response.status_code in (415, 422), (other, response.text)
        assert response.headers["Content-Type"] == "application/problem+json"


@EVERY_TASK
def test_several_files_in_one_request_are_answered_in_order(client: TestClient, task: str) -> None:
    payloads = [TINY[task].payload(seed) for seed in range(3)]
    response = client.post(f"/{task}", files=[("file", payload) for payload in payloads])
    assert response.status_code == 200, response.text
    results = [outcome(result) for result in response.json()["results"]]
    alone = [outcome(post(client, task, payload)) for payload in payloads]
    assert len({str(one) for one in alone}) == 3
    for result, one in zip(results, alone, strict=True):
        assert result == pytest.approx(one, rel=1e-4, abs=1e-4)


def outcome(answer: dict[str, Any]) -> dict[str, float]:
    """Numbers by what they are of."""
    if "forecast" in answer:
        return {f"{i} {j}": value for i, row in enumerate(answer["forecast"]) for j, value in enumerate(row)}
    return {item["label"]: item["score"] for item in answer["predictions"]}


@pytest.mark.parametrize("task", SEVERAL_VIEWS)
def test_scores_of_several_views_are_averaged_and_each_is_told(client: TestClient, task: str) -> None:
    options, count = SEVERAL_VIEWS[task]
    answer = post(client, task, TINY[task].payload(3), top_k=0, **options)
    assert len(answer["views"]) == len(answer["input"]["views"]) == count
    views = [{item["label"]: item["score"] for item in view} for view in answer["views"]]
    assert len({tuple(sorted(view.items())) for view in views}) > 1
    mean = {label: np.mean([view[label] for view in views]) for label in LABELS}
    assert {item["label"]: item["score"] for item in answer["predictions"]} == pytest.approx(mean, abs=1e-6)
