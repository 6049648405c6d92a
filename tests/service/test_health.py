import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.decoding import DecodersUnavailable
from service.engine.base import Loaded, MissingModel, WorkerLost
from service.pipeline import Pipeline
from service.runtime import Runtime
from service.settings import Settings
from tests.service.conftest import encoded, picture, wait_until_ready
from tests.service.fake_engine import FakeEngine


def test_the_server_is_alive_but_not_ready_until_models_are_warm(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    warm_up = Pipeline.warm_up_at

    def held(self: Pipeline, *args: Any) -> None:
        assert gate.wait(30)
        warm_up(self, *args)

    monkeypatch.setattr(Pipeline, "warm_up_at", held)
    with TestClient(create_app(settings)) as client:
        assert client.get("/health/live").status_code == 200
        for response in (client.get("/health/ready"), client.post("/classify/image", content=encoded(picture()))):
            assert (response.status_code, response.json()["code"]) == (503, "not_ready")
            assert response.headers["Retry-After"] == "1"
        gate.set()
        wait_until_ready(client)
        assert client.post("/classify/image", content=encoded(picture())).status_code == 200


def test_readiness_says_why_models_could_not_be_loaded(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    with TestClient(create_app(Settings(checkpoints=(broken,), decode_workers=1))) as client:
        deadline = time.monotonic() + 60
        while "loading: try" in (detail := client.get("/health/ready").json()["detail"]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert "is not a checkpoint of this project" in detail
        assert client.get("/health/live").status_code == 503


@pytest.mark.parametrize("path", ["/health/ready", "/v2/health/ready", "/v2/models/tiny/ready"])
def test_every_readiness_probe_fails_as_soon_as_the_server_drains(client: TestClient, path: str) -> None:
    open_requests = client.app.state.runtime.open_requests  # type: ignore[attr-defined]
    assert client.get(path).status_code == 200
    open_requests.leaving = True
    try:
        assert client.get(path).status_code == 503
        assert client.get("/health/live").status_code == 200
    finally:
        open_requests.leaving = False


class UnfitEngine(FakeEngine):
    async def check(self, timeout_s: float = 5.0) -> None:
        raise WorkerLost("the engine is starting")


@contextmanager
def with_engine(settings: Settings, engine: FakeEngine) -> Iterator[tuple[TestClient, Runtime]]:
    """A server that is ready with this engine in place of its own."""
    app = create_app(settings)
    with TestClient(app) as client:
        wait_until_ready(client)
        runtime: Runtime = app.state.runtime
        own = runtime.engine
        engine.loaded = own.loaded
        runtime.engine = runtime.repository._engine = engine
        yield client, runtime
        runtime.engine = runtime.repository._engine = own


def refusal(client: TestClient, path: str) -> tuple[int, str]:
    response = client.get(path)
    return response.status_code, response.json().get("detail", "")


def test_readiness_says_what_keeps_requests_from_being_answered(settings: Settings, tiny_checkpoint: Path) -> None:
    single = settings.model_copy(update={"checkpoints": (tiny_checkpoint,)})
    with with_engine(single, engine := FakeEngine()) as (client, runtime):
        assert client.get("/health/ready").status_code == 200

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine, "check", UnfitEngine().check)
            status, detail = refusal(client, "/health/ready")
            assert (status, "the engine is starting" in detail) == (503, True)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runtime.decoding, "check", Mock(side_effect=DecodersUnavailable("none can be started")))
            assert refusal(client, "/health/ready") == (503, "none can be started")

        model, served = runtime.models["tiny"], engine.loaded
        engine.loaded, engine.missing = Loaded({}), {"tiny": MissingModel(model, "no such file")}
        for path in ("/health/ready", "/models/tiny"):
            status, detail = refusal(client, path)
            assert (status, "'tiny'" in detail, "no such file" in detail) == (503, True, True)
        assert client.get("/v2/health/ready").status_code == 503
        for query in ("", "?model=tiny"):
            answer = client.post(f"/classify/image{query}", content=encoded(picture()))
            assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        engine.loaded, engine.missing = served, {}
        assert client.get("/health/ready").status_code == 200

        engine.fault = "the engine has been lost for 300 s"
        for path in ("/health/live", "/health/ready"):
            assert refusal(client, path) == (503, engine.fault)
        engine.fault = None


def test_a_task_without_a_model_is_told_in_words(settings: Settings, tiny_checkpoint: Path) -> None:
    single = settings.model_copy(update={"checkpoints": (tiny_checkpoint,)})
    with TestClient(create_app(single)) as client:
        wait_until_ready(client)
        for query, told in (("", "no model"), ("?model=tiny", "no model named 'tiny'")):
            answer = client.post(f"/classify/audio{query}", content=b"x")
            assert answer.status_code == 404
            assert answer.json()["detail"] == f"{told} for /classify/audio; available: none"
