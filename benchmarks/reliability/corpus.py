"""Files for every modality that the demo models answer, made here; real ones beside them where there are any."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from service.bench.shot import Shot
from tests import clouds
from tests.recordings import chirp, sound_file
from tests.tiny import encoded, picture, video, weather

FOLDERS = {
    "classify/image": "image/clothing10/test",
    "classify/audio": "audio/esc10/test",
    "classify/video": "video/clips",
}
SUFFIXES = {".jpg", ".jpeg", ".png", ".wav", ".ogg", ".flac", ".mp4", ".webm"}
LARGEST = 2_000_000


def radar(seed: int = 0) -> bytes:
    """A PLY of points with a velocity and a time, as the radar model wants them."""
    points = clouds.cloud(400, seed)
    extra = {"velocity": np.sin(points[:, 0]), "time": np.linspace(0, 2, len(points))}
    return clouds.ply(points, "binary_little_endian", extra)


MAKERS: dict[str, Callable[[int], bytes]] = {
    "classify/image": lambda seed: encoded(picture(seed, (160, 120)), "JPEG"),
    "classify/audio": lambda seed: sound_file(chirp(0.6 + 0.1 * seed, 8000), 8000),
    "classify/video": lambda seed: video(seed, 20),
    "classify/pointcloud": radar,
    "forecast/weather": lambda seed: weather(seed, stations=4 + seed, hours=72),
}


def good_files(each: int, data: Path | None = None) -> dict[str, list[bytes]]:
    """So many files for every path; half of them real where `data` has any."""
    found = {path: list(_real(path, data, each // 2)) for path in MAKERS}
    return {path: files + [MAKERS[path](seed) for seed in range(each - len(files))] for path, files in found.items()}


def mixed(data: Path | None = None, each: int = 4) -> list[Shot]:
    """A load of every modality in equal parts."""
    return [Shot(f"/{path}", body) for path, files in good_files(each, data).items() for body in files]


def _real(path: str, data: Path | None, count: int) -> Iterator[bytes]:
    if data is None or path not in FOLDERS:
        return
    files = [file for file in sorted((data / FOLDERS[path]).rglob("*")) if file.suffix.lower() in SUFFIXES]
    usable = [file for file in files if file.stat().st_size < LARGEST]
    for file in random.Random(0).sample(usable, min(count, len(usable))):
        yield file.read_bytes()
