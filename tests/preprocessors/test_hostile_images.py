"""Files that are broken, that lie, or that were made to do harm: refused with a reason, or decoded, and cheaply."""

import io
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from preprocessors.base import PayloadError, TooLarge, UndecodableInput, UnsupportedFormat
from preprocessors.image import ImageOptions, ImagePreprocessor, decoder_faults
from tests.hostile import damaged, peak_growth

PREPROCESSOR = ImagePreprocessor(size=32)


def encoded(kind: str, **options: Any) -> bytes:
    blobs = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(blobs).resize((90, 60), Image.Resampling.BICUBIC).save(file, kind, **options)
    return file.getvalue()


SOUND = {
    "png": encoded("PNG"),
    "jpeg": encoded("JPEG"),
    "progressive": encoded("JPEG", progressive=True),
    "webp": encoded("WEBP"),
    "lossless": encoded("WEBP", lossless=True),
    "gif": encoded("GIF"),
    "bmp": encoded("BMP"),
}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"")


def gif_header(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b"," + struct.pack("<HHHHBB", 0, 0, 9, 9, 0, 2)


def webp(kind: bytes, body: bytes) -> bytes:
    body = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def png_with(kind: bytes, data: bytes) -> bytes:
    return SOUND["png"][:33] + chunk(kind, data) + SOUND["png"][33:]


BOMB = zlib.compress(bytes(100_000_000), 9)
HUGE = {
    "png": (png_header(60_000, 60_000), 60_000 * 60_000),
    "wide png": (png_header(2**31 - 1, 1), 2**31 - 1),
    "gif": (gif_header(65535, 65535), 65535**2),
    "bmp": (b"BM" + struct.pack("<IIIIiiHHIIIIII", 99, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0), 9 * 10**8),
    "jpeg": (SOUND["jpeg"].replace(struct.pack(">HH", 60, 90), struct.pack(">HH", 60_000, 50_000)), 3 * 10**9),
    "webp lossy": (webp(b"VP8 ", b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383)), 16383**2),
    "webp lossless": (webp(b"VP8L", b"\x2f" + struct.pack("<I", 16383 | 16383 << 14)), 16384**2),
    "webp extended": (webp(b"VP8X", bytes(4) + b"\xff\xff\x00" * 2), 65536**2),
}  # fmt: skip


def outcome(payload: bytes, exact: bool = True) -> str:
    """What became of a payload; anything but a sample or a PayloadError is raised."""
    try:
        sample = PREPROCESSOR.decode(payload, ImageOptions(exact))
    except PayloadError as error:
        return error.code
    assert sample.array.shape == (32, 32, 3)
    assert sample.array.dtype == np.uint8
    return "ok"


def corpus(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                yield from ((name, archive.read(name)) for name in archive.namelist() if not name.endswith("/"))
        elif path.is_file():
            yield path.name, path.read_bytes()


def test_collected_hostile_files_are_refused_or_decoded(shared_path: Callable[[str], Path]) -> None:
    seen: dict[str, int] = {}
    for number, (name, payload) in enumerate(corpus(shared_path("data/image/hostile"))):
        try:
            code = outcome(payload, exact=number % 2 == 0)
        except Exception as error:
            pytest.fail(f"{name} made the decoder raise {error!r}")
        seen[code] = seen.get(code, 0) + 1
    assert seen.keys() <= {"ok", "undecodable_input", "unsupported_media_type", "too_many_pixels", "too_many_scans"}
    assert min(seen["ok"], seen["undecodable_input"], seen["unsupported_media_type"]) > 200


@pytest.mark.parametrize("kind", SOUND)
def test_damaged_files_are_refused_or_decoded(kind: str) -> None:
    rng = random.Random(kind)
    outcomes = [outcome(damaged(SOUND[kind], rng), rng.random() < 0.5) for _ in range(400)]
    assert set(outcomes) <= {"ok", "undecodable_input", "unsupported_media_type", "too_many_pixels"}
    assert outcomes.count("undecodable_input") > 20


@pytest.mark.parametrize("kind", SOUND)
def test_truncated_files_are_refused(kind: str) -> None:
    payload = SOUND[kind]
    for size in (len(payload) // 2, len(payload) * 9 // 10):
        with pytest.raises(UndecodableInput, match="damaged or incomplete"):
            PREPROCESSOR.decode(payload[:size], ImageOptions())


def test_an_empty_payload_is_refused() -> None:
    with pytest.raises(UndecodableInput, match="empty") as refusal:
        PREPROCESSOR.decode(b"", ImageOptions())
    assert refusal.value.code == "undecodable_input"


@pytest.mark.parametrize(
    "payload",
    [b"\0", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS-Adobe-3.0 EPSF-3.0", b"II*\0" + bytes(99),
     b"\0\0\0\x18ftypheic" + bytes(99), b"\0\0\0\x0cjP  \r\n\x87\n", b"8BPS" + bytes(99), b"P6 1 1 255 abc"],
)  # fmt: skip
def test_other_formats_are_refused_with_the_list_of_those_that_are_read(payload: bytes) -> None:
    with pytest.raises(UnsupportedFormat, match="JPEG, PNG, WEBP, BMP, GIF") as refusal:
        PREPROCESSOR.decode(payload, ImageOptions())
    assert refusal.value.code == "unsupported_media_type"


@pytest.mark.parametrize("kind", HUGE)
def test_a_header_that_declares_too_many_pixels_is_enough_to_refuse(kind: str) -> None:
    payload, pixels = HUGE[kind]
    with pytest.raises(TooLarge) as refusal:
        PREPROCESSOR.decode(payload, ImageOptions())
    assert (refusal.value.code, refusal.value.limit, refusal.value.actual) == ("too_many_pixels", 40_000_000, pixels)


@pytest.mark.parametrize("kind", SOUND)
def test_the_pixel_limit_is_inclusive(kind: str) -> None:
    ImagePreprocessor(size=32, max_pixels=90 * 60).decode(SOUND[kind], ImageOptions())
    with pytest.raises(TooLarge, match="90 x 60 is 5400 pixels, at most 5399"):
        ImagePreprocessor(size=32, max_pixels=90 * 60 - 1).decode(SOUND[kind], ImageOptions())


@pytest.mark.parametrize(
    "payload",
    [png_with(b"zTXt", b"a\0\0" + BOMB), png_with(b"iCCP", b"a\0\0" + BOMB), png_with(b"iTXt", b"a\0\1\0\0\0" + BOMB)],
    ids=["zTXt", "iCCP", "iTXt"],
)
def test_compressed_text_is_not_inflated(payload: bytes, tmp_path: Path) -> None:
    assert peak_growth(ImagePreprocessor(), [payload], tmp_path) < 30 << 20


def test_a_large_picture_is_held_once(tmp_path: Path) -> None:
    side = 3000
    png = io.BytesIO()
    Image.new("RGB", (side, side)).save(png, "PNG")
    stored = 4 * side * side  # Pillow pads every pixel
    assert peak_growth(ImagePreprocessor(size=32), [png.getvalue()], tmp_path) < 1.5 * stored


def test_refusing_huge_pictures_takes_no_memory(tmp_path: Path) -> None:
    assert peak_growth(ImagePreprocessor(), [payload for payload, _ in HUGE.values()], tmp_path) < 20 << 20


@pytest.mark.parametrize(
    "fault",
    [OSError("x"), ValueError("x"), SyntaxError("x"), TypeError("x"), NotImplementedError("x"), EOFError("x"),
     IndexError("x"), KeyError("x"), ZeroDivisionError("x"), OverflowError("x"), struct.error("x"), zlib.error("x"),
     UnidentifiedImageError("x")],
    ids=lambda fault: type(fault).__name__,
)  # fmt: skip
def test_every_way_in_which_pillow_fails_is_a_refusal(fault: Exception) -> None:
    with pytest.raises(UndecodableInput) as refusal, decoder_faults():
        raise fault
    assert refusal.value.code == "undecodable_input"


@pytest.mark.parametrize(
    ("fault", "code"),
    [(MemoryError(), "too_much_memory"), (Image.DecompressionBombError("x"), "too_many_pixels"),
     (Image.DecompressionBombWarning("x"), "too_many_pixels")],
)  # fmt: skip
def test_what_is_too_much_for_pillow_is_too_large(fault: Exception, code: str) -> None:
    with pytest.raises(TooLarge) as refusal, decoder_faults():
        raise fault
    assert refusal.value.code == code


def test_a_mistake_of_our_own_is_not_blamed_on_the_file() -> None:
    with pytest.raises(AttributeError), decoder_faults():
        raise AttributeError("no such attribute")


def test_warnings_refuse_no_picture_and_filters_are_left_as_they_were() -> None:
    overlong = struct.pack("<HHII", 0x010F, 2, 999, 8)  # the maker's name, said to reach behind the end of the block
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + overlong + bytes(4)
    payload = encoded("JPEG", exif=exif)
    with pytest.warns(UserWarning, match="larger than file"):
        Image.open(io.BytesIO(payload))
    before = list(warnings.filters)
    assert before[0][0] == "error"
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(outcome, [payload] * 40)) == {"ok"}
    assert warnings.filters == before
