"""A new modality is one file and one line: here the file is toy_preprocessor.py, and the line is in `taste`."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from models.postprocessors.classification import ClassificationPostprocessor
from service.app import create_app
from service.settings import Settings
from service.tasks import TASKS, Task
from tests.conftest import LABELS
from tests.service.conftest import wait_until_ready
from tests.tiny import TINY, Tiny, save_tiny

DISH = b"0.9,0.1,0.2,0,0.3"


@pytest.fixture(scope="module")
def taste(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))  # for the decode workers
        preprocessor = importlib.import_module("toy_preprocessor").TastePreprocessor
        patch.setitem(TASKS, "classify/taste", Task(preprocessor, ClassificationPostprocessor))
        patch.setitem(TINY, "classify/taste", Tiny(preprocessor(), lambda seed: DISH, in_chans=1))
        checkpoint = save_tiny("classify/taste", tmp_path_factory.mktemp("taste") / "taste.safetensors", "cook")
        with TestClient(create_app(Settings(checkpoints=(checkpoint,), device="cpu", decode_workers=1))) as client:
            wait_until_ready(client)
            yield client
    sys.modules.pop("toy_preprocessor", None)


def test_it_is_answered_and_embedded(taste: TestClient) -> None:
    answer = taste.post("/classify/taste", content=DISH).json()
    assert {item["label"] for item in answer["predictions"]} == set(LABELS)
    assert (answer["modality"], answer["input"]) == ("taste", {"strongest": "sweet", "bytes": len(DISH)})
    assert taste.post("/embed/taste", files={"file": DISH}).json()["dim"] == 32


@pytest.mark.parametrize("dish", [b"1,2", b"chicken"])
def test_what_it_cannot_read_is_a_clear_problem(taste: TestClient, dish: bytes) -> None:
    response = taste.post("/classify/taste", content=dish)
    assert (response.status_code, response.json()["code"]) == (422, "undecodable_input")
    assert "the taste" in response.json()["detail"]


def test_it_is_documented_and_listed(taste: TestClient) -> None:
    operation = taste.get("/openapi.json").json()["paths"]["/classify/taste"]["post"]
    assert "text/csv" in operation["requestBody"]["content"]
    assert taste.get("/models").json()[0]["endpoints"] == ["/classify/taste", "/embed/taste"]
