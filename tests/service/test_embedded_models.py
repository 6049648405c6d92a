"""The models that come with the project answer the example files as the README prints it."""

import re
from pathlib import Path

import pytest

from service.pipeline import Pipeline, load_pipelines
from service.settings import Settings
from service.tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
REQUESTS = re.findall(r"-F file=@(\S+) 'http://127.0.0.1:8000/(classify/\w+)\?", README)


@pytest.fixture(scope="module")
def pipelines() -> dict[str, Pipeline]:
    """The default model of every task."""
    found: dict[str, Pipeline] = {}
    for pipeline in load_pipelines(Settings(device="cpu")).values():
        found.setdefault(pipeline.path, pipeline)
    return found


def test_every_task_has_a_model_and_a_request_in_the_readme(pipelines: dict[str, Pipeline]) -> None:
    assert pipelines.keys() | {"forecast/weather"} == TASKS.keys()
    assert {task for _, task in REQUESTS} == pipelines.keys()


@pytest.mark.parametrize(("file", "task"), REQUESTS)
def test_the_answer_is_the_one_that_is_printed(pipelines: dict[str, Pipeline], file: str, task: str) -> None:
    pipeline = pipelines[task]
    sample = pipeline.preprocessor.decode((ROOT / file).read_bytes(), pipeline.preprocessor.option_type())
    answer = pipeline.head.interpret(pipeline.run(sample.views), pipeline.head.option_type())
    best = answer.predictions[0]
    printed = re.search(rf'"label": "{best.label}", "class_id": {best.class_id}, "score": ([\d.]+)', README)
    assert printed is not None, best
    assert best.score == pytest.approx(float(printed[1]), abs=1e-4)


def test_every_model_has_a_card_that_says_what_it_was_trained_on(pipelines: dict[str, Pipeline]) -> None:
    notes = (ROOT / "checkpoints" / "README.md").read_text()
    for pipeline in pipelines.values():
        card = pipeline.card
        assert card.data
        assert card.licence
        assert f"`{pipeline.name}.safetensors`" in notes
        assert f"{card.metrics['test_accuracy']:.3f}" in notes
