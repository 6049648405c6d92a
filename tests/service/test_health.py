import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.engine.base import WorkerLost
from service.pipeline import Pipeline
from service.runtime import Runtime
from service.scheduler import Scheduler
from service.settings import Settings
from tests.service.conftest import encoded, picture, wait_until_ready
from tests.service.fake_engine import FakeEngine, view


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
    traffic = client.app.state.runtime.traffic  # type: ignore[attr-defined]
    assert client.get(path).status_code == 200
    traffic.leaving = True
    try:
        assert client.get(path).status_code == 503
        assert client.get("/health/live").status_code == 200
    finally:
        traffic.leaving = False


class LostEngine(FakeEngine):
    alive = False

    async def check(self, timeout_s: float = 5.0) -> None:
        raise WorkerLost("the engine is starting")


def test_a_lost_engine_is_not_ready_while_the_batches_that_it_had_are_under_way(settings: Settings) -> None:
    async def scenario() -> None:
        runtime, engine = Runtime(settings), LostEngine()
        runtime.engine, runtime.scheduler = engine, Scheduler(engine, 4)
        engine.gate.clear()
        waiting = asyncio.create_task(runtime.scheduler.submit("model", [view(1)]))
        while runtime.scheduler.idle:
            await asyncio.sleep(0)
        with pytest.raises(WorkerLost, match="the engine is starting"):
            await runtime.check_engine()
        engine.gate.set()
        await waiting

    asyncio.run(scenario())
