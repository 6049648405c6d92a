"""Real, odd and broken files over HTTP: each is answered or refused with a reason, and the server stays as it was."""

import struct
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import psutil
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.conftest import SharedPath
from tests.service.conftest import encoded, picture, wait_until_ready
from tests.tiny import TINY

REFUSALS = {400, 413, 415, 422}
MEGABYTE = 1_000_000
LONGEST_S = 12.0  # the decoding time-out, and some room


@pytest.fixture(scope="module")
def server(tiny_checkpoints: tuple[Path, ...]) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(checkpoints=tiny_checkpoints, device="cpu", decode_workers=2))) as client:
        wait_until_ready(client)
        yield client


def outcome(client: TestClient, payload: bytes, task: str = "classify/image") -> int:
    response = client.post(f"/{task}", content=payload)
    if response.status_code != 200:
        problem = response.json()
        assert response.status_code in REFUSALS, problem
        assert response.headers["Content-Type"] == "application/problem+json"
        assert problem["code"]
        assert problem["detail"]
    return response.status_code


def corpus(folder: Path) -> Iterator[bytes]:
    """Every file below, those in archives too."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".zip":
            with ZipFile(path) as archive:
                yield from (archive.read(name) for name in archive.namelist() if not name.endswith("/"))
        elif path.is_file():
            yield path.read_bytes()


def test_broken_and_odd_files_never_break_the_server(server: TestClient, shared_path: SharedPath) -> None:
    payloads = list(corpus(shared_path("data/image/hostile")))
    counts = Counter(outcome(server, payload) for payload in payloads)
    assert len(payloads) > 1000
    assert counts[200] > 100
    assert counts[415] > 100
    assert counts[422] > 100
    assert outcome(server, encoded(picture())) == 200


@pytest.mark.parametrize(
    ("task", "folders", "good"),
    [
        ("classify/audio", ("audio/hostile", "audio/esc10/test_original_44k"), 30),
        ("classify/video", ("video/hostile", "video/clips"), 18),
        ("classify/pointcloud", ("pointcloud/hostile", "pointcloud/formats", "pointcloud/modelnet10/test_off"), 80),
    ],
)
def test_files_of_the_other_senses_are_answered_or_refused_in_time(
    server: TestClient, shared_path: SharedPath, task: str, folders: tuple[str, ...], good: int
) -> None:
    payloads = [payload for folder in folders for payload in corpus(shared_path(f"data/{folder}"))]
    before = memory_bytes()
    counts: Counter[int] = Counter()
    for payload in payloads:
        started = time.monotonic()
        counts[outcome(server, payload, task)] += 1
        assert time.monotonic() - started < LONGEST_S
    assert counts[200] >= good
    assert counts[422] + counts[415] > 3
    assert memory_bytes() - before < 600 * MEGABYTE
    assert outcome(server, TINY[task].payload(0), task) == 200


@pytest.mark.parametrize("folder", ["imagenet_samples", "exif_orientation"])
def test_real_photographs_are_all_answered(server: TestClient, shared_path: SharedPath, folder: str) -> None:
    photos = sorted(shared_path(f"data/image/{folder}").rglob("*.[jJ][pP]*"))
    assert photos
    assert {outcome(server, photo.read_bytes()) for photo in photos} == {200}


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares its size truly, and holds next to nothing."""
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(b""), b"IEND")
    framed = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def memory_bytes() -> int:
    process = psutil.Process()
    return sum(member.memory_info().rss for member in (process, *process.children(recursive=True)))


def test_a_header_that_declares_billions_of_pixels_costs_no_memory(server: TestClient) -> None:
    before = memory_bytes()
    for _ in range(5):
        response = server.post("/classify/image", content=png_header(60_000, 60_000))
        assert (response.status_code, response.json()["code"]) == (413, "too_many_pixels")
        assert response.json()["actual"] == 3_600_000_000
    assert memory_bytes() - before < 50 * MEGABYTE


def test_files_cut_off_anywhere_are_answered_or_refused(server: TestClient) -> None:
    for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP"):
        whole = encoded(picture(), name)
        for cut in range(1, len(whole), max(1, len(whole) // 12)):
            outcome(server, whole[:cut])
    assert outcome(server, encoded(picture())) == 200
