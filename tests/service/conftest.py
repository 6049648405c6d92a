"""A running application with the tiny models, and pictures to post."""

import importlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient

from preprocessors.base import Preprocessor
from service.app import create_app
from service.settings import Settings
from tests.tiny import encoded, picture

__all__ = ["encoded", "picture", "wait_until_ready"]


def wait_until_ready(client: TestClient) -> None:
    deadline = time.monotonic() + 60
    while client.get("/health/ready").status_code != 200:
        assert time.monotonic() < deadline, client.get("/health/ready").text
        time.sleep(0.02)


@pytest.fixture(scope="module")
def faulty() -> Iterator[Preprocessor[Any]]:
    """Does what its payload says. Workers find it by name, on the path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        yield importlib.import_module("faulty_preprocessor").FaultyPreprocessor()


@pytest.fixture(scope="session")
def settings(tiny_checkpoints: tuple[Path, ...]) -> Settings:
    """The runtime is the one that serves by default."""
    return Settings(
        checkpoints=tiny_checkpoints,
        device="cpu",
        runtime="auto",
        decode_workers=1,
        max_items=4,
        max_body_bytes=300_000,
    )


@pytest.fixture(scope="session")
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        wait_until_ready(client)
        yield client


@pytest.fixture(scope="session")
def address(settings: Settings) -> Iterator[str]:
    """Of a real server, ready, on a free port."""
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        runtime = server.config.app.state.runtime  # type: ignore[union-attr]
        while not (server.started and runtime.ready):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
