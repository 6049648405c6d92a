"""A running application with the tiny model, and pictures to post."""

import io
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.app import create_app
from service.settings import Settings


def wait_until_ready(client: TestClient) -> None:
    deadline = time.monotonic() + 60
    while client.get("/health/ready").status_code != 200:
        assert time.monotonic() < deadline, client.get("/health/ready").text
        time.sleep(0.02)


@pytest.fixture(scope="session")
def settings(tiny_checkpoint: Path) -> Settings:
    return Settings(checkpoints=(tiny_checkpoint,), device="cpu", decode_workers=1, max_items=4, max_body_bytes=300_000)


@pytest.fixture(scope="session")
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        wait_until_ready(client)
        yield client


def picture(seed: int = 0, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Coarse random blocks of colour: unlike its neighbours, and alike after JPEG."""
    blocks = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST)


def encoded(image: Image.Image, name: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, name)
    return file.getvalue()
