"""A running application with the tiny models, and pictures to post."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.tiny import encoded, picture

__all__ = ["encoded", "picture", "wait_until_ready"]


def wait_until_ready(client: TestClient) -> None:
    deadline = time.monotonic() + 60
    while client.get("/health/ready").status_code != 200:
        assert time.monotonic() < deadline, client.get("/health/ready").text
        time.sleep(0.02)


@pytest.fixture(scope="session")
def settings(tiny_checkpoints: tuple[Path, ...]) -> Settings:
    return Settings(checkpoints=tiny_checkpoints, device="cpu", decode_workers=1, max_items=4, max_body_bytes=300_000)


@pytest.fixture(scope="session")
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        wait_until_ready(client)
        yield client
