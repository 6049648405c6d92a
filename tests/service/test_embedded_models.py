"""The models that come with the project answer the example files as the README prints it."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
import torch

from models.postprocessors.forecast import ForecastOptions
from models.precision import Precision
from service.pipeline import Pipeline, load_pipelines
from service.settings import Settings
from service.tasks import TASKS
from tests.conftest import SharedPath
from tests.oracle import relative_error

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
REQUESTS = re.findall(r"-F file=@(\S+) 'http://127.0.0.1:8000/(\w+/\w+)\?", README)
CLASSIFIED = [request for request in REQUESTS if request[1].startswith("classify/")]


@pytest.fixture(scope="module")
def models() -> dict[str, Pipeline]:
    """All of them, by name, in the format of what is printed."""
    return load_pipelines(Settings(device="cpu", runtime="auto", precision=Precision.FLOAT32))


@pytest.fixture(scope="module")
def pipelines(models: dict[str, Pipeline]) -> dict[str, Pipeline]:
    """The default model of every task."""
    return {pipeline.path: pipeline for pipeline in reversed(models.values())}


def test_every_task_has_a_model_and_a_request_in_the_readme(pipelines: dict[str, Pipeline]) -> None:
    assert pipelines.keys() == TASKS.keys()
    assert {task for _, task in REQUESTS} == TASKS.keys()


@pytest.mark.parametrize(("file", "task"), CLASSIFIED)
def test_the_answer_is_the_one_that_is_printed(pipelines: dict[str, Pipeline], file: str, task: str) -> None:
    pipeline = pipelines[task]
    sample = pipeline.preprocessor.decode((ROOT / file).read_bytes(), pipeline.preprocessor.option_type())
    answer = pipeline.postprocessor.interpret(pipeline.run(sample.views), pipeline.postprocessor.option_type())
    best = answer.predictions[0]
    printed = re.search(rf'"label": "{best.label}", "class_id": {best.class_id}, "score": ([\d.]+)', README)
    assert printed is not None, best
    assert best.score == pytest.approx(float(printed[1]), abs=1e-4)


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
def test_every_model_answers_the_same_by_every_runtime(pipelines: dict[str, Pipeline]) -> None:
    by_torch = load_pipelines(Settings(device="cpu", runtime="torch", precision=Precision.FLOAT32))
    for file, task in REQUESTS:
        preprocessor = pipelines[task].preprocessor
        views = preprocessor.decode((ROOT / file).read_bytes(), preprocessor.option_type()).views
        for row, expected in zip(pipelines[task].run(views), by_torch[pipelines[task].name].run(views), strict=True):
            for name, value in expected.items():
                assert relative_error(torch.from_numpy(row[name]), value) < 1e-5, f"{task} {name}"
    assert {pipeline.predictor.runtime for pipeline in pipelines.values()} == {"openvino"}


def test_the_forecast_is_the_one_that_is_printed(pipelines: dict[str, Pipeline]) -> None:
    pipeline = pipelines["forecast/weather"]
    payload = (ROOT / "examples" / "stations.json").read_bytes()
    sample = pipeline.preprocessor.decode(payload, pipeline.preprocessor.option_type())
    answer = pipeline.postprocessor.interpret(pipeline.run(sample.views), ForecastOptions(), sample.context)
    printed = re.search(r'"stations": (\[.*?\]),\s+"forecast": \[(\[.*?\])', README, re.DOTALL)
    assert printed is not None
    assert answer.stations == json.loads(printed[1])
    assert answer.forecast[0].tolist() == pytest.approx(json.loads(printed[2]), abs=0.01)


def test_the_card_of_the_sounds_tells_the_share_of_test_clips_that_it_knows(
    models: dict[str, Pipeline], shared_path: SharedPath
) -> None:
    clips = sorted(shared_path("data/audio/esc10/test").glob("*/*.ogg"))
    pipeline, right = models["sounds"], 0
    for clip in clips:
        sample = pipeline.preprocessor.decode(clip.read_bytes(), pipeline.preprocessor.option_type())
        answer = pipeline.postprocessor.interpret(pipeline.run(sample.views), pipeline.postprocessor.option_type())
        right += answer.predictions[0].label == clip.parent.name
    assert right / len(clips) == pytest.approx(pipeline.card.metrics["test_accuracy"], abs=1.1 / len(clips))


def test_every_model_has_a_card_that_says_what_it_was_trained_on(models: dict[str, Pipeline]) -> None:
    notes = (ROOT / "checkpoints" / "README.md").read_text()
    for pipeline in models.values():
        card = pipeline.card
        assert card.data
        assert card.licence
        assert f"`{pipeline.name}.safetensors`" in notes
        measure = next(name for name in ("test_accuracy", "test_mse") if name in card.metrics)
        assert f"{card.metrics[measure]:.3f}" in notes
