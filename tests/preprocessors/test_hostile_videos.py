"""Videos that are broken, that lie, or that were made to do harm: refused with a reason, or decoded, and cheaply."""

import random
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from preprocessors.base import PayloadError, TooLarge, UndecodableInput
from preprocessors.video import VideoOptions, VideoPreprocessor
from tests.conftest import SharedPath
from tests.videos import film

REPOSITORY = Path(__file__).resolve().parents[2]
PREPROCESSOR = VideoPreprocessor(frames=4, size=32, grid=(2, 2))
CODES = {"ok", "undecodable_input", "unsupported_media_type", "too_long", "too_many_pixels", "too_much_memory"}
BROKEN = {
    "8k_black_2f.mp4": "too_many_pixels",
    "FlashVideo.flv": "unsupported_media_type",
    "WindowsMediaVideo.wmv": "unsupported_media_type",
    "audio_only.mp4": "undecodable_input",
    "empty.mp4": "undecodable_input",
    "flips_mdat.mp4": "undecodable_input",
    "html5.html": "unsupported_media_type",
    "mp3.mp3": "unsupported_media_type",
    "mp4-with-audio.mp4": "undecodable_input",
    "png_named.mp4": "unsupported_media_type",
    "random_64k.mp4": "unsupported_media_type",
    "truncated_25pct.mp4": "undecodable_input",
}
DAMAGED = ("mp4", "fragments", "hevc", "prores", "mkv", "vp8", "vp9", "avi", "mjpeg", "gif", "ts", "ts mpeg2")


@cache
def sample(kind: str) -> bytes:
    return film(kind, 24, key_every=8)


def outcome(payload: bytes, clips: int = 1) -> str:
    """What became of a payload; anything but a sample or a PayloadError is raised."""
    try:
        decoded = PREPROCESSOR.decode(payload, VideoOptions(clips=clips))
    except PayloadError as error:
        return error.code
    assert len(decoded.views) == clips
    assert all(view.shape == (4, 32, 32, 3) and view.dtype == np.uint8 for view in decoded.views)
    return "ok"


def damaged(payload: bytes, rng: random.Random) -> bytes:
    data = bytearray(payload if rng.random() < 0.7 else payload[: rng.randrange(1, len(payload))])
    reach = min(len(data), rng.choice([64, 600, 2000, len(data)]))
    from_end = rng.random() < 0.3
    for _ in range(rng.choice([1, 2, 5, 20])):
        place = rng.randrange(reach)
        place = len(data) - 1 - place if from_end else place
        data[place] = rng.choice([data[place] ^ (1 << rng.randrange(8)), 0, 255, 127, rng.randrange(256)])
    return bytes(data)


def test_collected_videos_are_decoded_or_refused_as_they_should_be(shared_path: SharedPath) -> None:
    for path in sorted(shared_path("data/video/hostile").iterdir()):
        if path.suffix != ".md":
            assert outcome(path.read_bytes()) == BROKEN.get(path.name, "ok"), path.name


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_videos_are_refused_or_decoded(kind: str) -> None:
    rng = random.Random(kind)
    outcomes = {outcome(damaged(sample(kind), rng), clips=rng.choice([1, 3])) for _ in range(25)}
    assert outcomes <= CODES
    assert len(outcomes) > 1


@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv", "vp9", "avi", "gif"])
def test_a_video_that_ends_in_its_header_is_refused(kind: str) -> None:
    for size in (24, 60):
        with pytest.raises(UndecodableInput, match=r"export it again|send one that does"):
            PREPROCESSOR.decode(sample(kind)[:size], VideoOptions())


def test_an_empty_payload_is_refused() -> None:
    with pytest.raises(UndecodableInput, match="empty"):
        PREPROCESSOR.decode(b"", VideoOptions())


def test_text_that_is_no_text_is_no_obstacle() -> None:
    payload = sample("mkv").replace(b"Lavf", b"\xff\xfe\x80\xc3")
    assert payload != sample("mkv")
    assert outcome(payload) == "ok"


@pytest.mark.parametrize("table", [b"stsz", b"stts", b"ctts", b"stsc", b"stss"])
def test_tables_that_claim_billions_of_entries_are_refused_or_overlooked(table: bytes) -> None:
    payload = sample("mp4")
    start = payload.index(table) + (12 if table == b"stsz" else 8)
    lying = payload[:start] + struct.pack(">I", 2**31) + payload[start + 4 :]
    assert outcome(lying) in CODES


def test_a_day_between_two_frames_is_too_long() -> None:
    payload = film("mkv", 2, times=[0, 25 * 86_400])
    with pytest.raises(TooLarge, match="lasts 86400.0 s, at most 600 s are read") as refusal:
        PREPROCESSOR.decode(payload, VideoOptions())
    assert refusal.value.code == "too_long"


def understated(payload: bytes, width: int, height: int) -> bytes:
    """The same frames, of which the header says that they are 16 x 16."""
    lying = payload.replace(struct.pack(">HH", width, height), struct.pack(">HH", 16, 16))
    assert lying != payload
    return lying


def test_frames_larger_than_the_header_says_are_not_decoded() -> None:
    payload = understated(film(frames=2, size=(512, 256)), 512, 256)
    limited = VideoPreprocessor(frames=4, size=32, grid=(2, 2), max_pixels=1000)
    with pytest.raises(UndecodableInput, match="more than 1 of the video.s 2 frames cannot be decoded"):
        limited.decode(payload, VideoOptions())
    slightly = VideoPreprocessor(frames=4, size=32, grid=(2, 2), max_pixels=100_000)
    with pytest.raises(TooLarge, match="512 x 256 are 131072 pixels, at most 100000"):
        slightly.decode(payload, VideoOptions())


@pytest.mark.parametrize("kind", ["mp4", "mjpeg", "gif", "ts mpeg2"])
def test_a_header_that_declares_too_many_pixels_is_enough_to_refuse(kind: str) -> None:
    limited = VideoPreprocessor(max_pixels=1000)
    with pytest.raises(TooLarge, match="frames of 64 x 48 are 3072 pixels, at most 1000") as refusal:
        limited.decode(sample(kind), VideoOptions())
    assert (refusal.value.code, refusal.value.limit, refusal.value.actual) == ("too_many_pixels", 1000, 3072)


def test_long_thin_frames_take_no_memory(peak_growth: Callable[[Iterable[bytes]], int]) -> None:
    thin = film("mjpeg", 2, size=(32_000, 16))  # at a height of 224 pixels a frame would be 300 MB
    assert outcome(thin) == "ok"
    assert peak_growth([thin]) < 60 << 20


def test_enormous_frames_take_no_memory(shared_path: SharedPath, peak_growth: Callable[[Iterable[bytes]], int]) -> None:
    honest = shared_path("data/video/hostile/8k_black_2f.mp4").read_bytes()
    assert peak_growth([honest, understated(honest, 7680, 4320)]) < 30 << 20  # one of its frames is 50 MB


@pytest.fixture
def peak_growth(tmp_path: Path) -> Callable[[Iterable[bytes]], int]:
    """Bytes that decoding these payloads adds to the peak of a fresh process."""
    script = """
import resource, sys
from pathlib import Path
from preprocessors.base import PayloadError
from preprocessors.video import VideoOptions, VideoPreprocessor
payloads = [Path(name).read_bytes() for name in sys.argv[1:]]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for payload in payloads:
    try:
        VideoPreprocessor().decode(payload, VideoOptions())
    except PayloadError:
        pass
sys.stdout.write(str(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)))
"""

    def measure(payloads: Iterable[bytes]) -> int:
        names = []
        for number, payload in enumerate(payloads):
            names.append(str(tmp_path / str(number)))
            Path(names[-1]).write_bytes(payload)
        command = [sys.executable, "-c", script, *names]
        return int(subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=100).stdout)

    return measure
