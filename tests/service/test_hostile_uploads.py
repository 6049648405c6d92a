"""Real, odd and broken files over HTTP: each is answered or refused with a reason, and the server stays as it was."""

import re
import struct
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
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
LONGEST_S = 10.0
MARGIN_S = 2.0  # for what is not decoding: a worker that is stopped at the limit must be replaced, on a busy machine
WORKER_BYTES = 200 * MEGABYTE  # a decode worker at its peak, libraries and all; 94 were seen


@pytest.fixture(scope="module")
def server(tiny_checkpoints: tuple[Path, ...]) -> Iterator[TestClient]:
    yield from served(Settings(checkpoints=tiny_checkpoints, device="cpu", decode_workers=2))


@pytest.fixture(scope="module")
def shipped() -> Iterator[TestClient]:
    """With the models that come with the project."""
    yield from served(Settings(device="cpu", decode_workers=2))


def served(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
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


OTHER_SENSES = {
    "classify/audio": ("audio/hostile", "audio/esc10/test_original_44k"),
    "classify/video": ("video/hostile", "video/clips"),
    "classify/pointcloud": ("pointcloud/hostile", "pointcloud/formats", "pointcloud/modelnet10/test_off"),
}


@pytest.mark.parametrize(
    ("task", "good"), [("classify/audio", 30), ("classify/video", 18), ("classify/pointcloud", 80)]
)
def test_files_of_the_other_senses_are_answered_or_refused_in_time(
    server: TestClient, shared_path: SharedPath, task: str, good: int
) -> None:
    counts = answered_in_bounds(server, shared_path, task)
    assert counts[200] >= good
    assert counts[422] + counts[415] > 3
    assert outcome(server, TINY[task].payload(0), task) == 200


@pytest.mark.parametrize("task", OTHER_SENSES)
def test_the_models_that_come_with_the_project_bear_them_too(
    shipped: TestClient, shared_path: SharedPath, task: str
) -> None:
    """Of point clouds the one that is there needs more than most files have."""
    counts = answered_in_bounds(shipped, shared_path, task)
    assert (counts[200] > 15) == (task != "classify/pointcloud")


def answered_in_bounds(client: TestClient, shared_path: SharedPath, task: str) -> Counter[int]:
    """How often the files were answered with which status; each in time, and no decode worker has taken much for it."""
    counts: Counter[int] = Counter()
    for payload in (payload for folder in OTHER_SENSES[task] for payload in corpus(shared_path(f"data/{folder}"))):
        started = time.monotonic()
        counts[outcome(client, payload, task)] += 1
        assert time.monotonic() - started < LONGEST_S + MARGIN_S
        assert max(peak_bytes(worker) for worker in decode_workers()) < WORKER_BYTES
    return counts


def decode_workers() -> list[psutil.Process]:
    """And what they are forked from."""
    children = psutil.Process().children(recursive=True)
    found = [child for child in children if "service.decode_worker" in " ".join(child.cmdline())]
    assert len(found) > 2
    return found


def peak_bytes(process: psutil.Process) -> int:
    """The most memory that it has had at a time, by the kernel's own count; 0 for one that has just ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        status = Path(f"/proc/{process.pid}/status").read_text()
        if peak := re.search(r"VmHWM:\s+(\d+) kB", status):
            return 1024 * int(peak[1])
    return 0


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
