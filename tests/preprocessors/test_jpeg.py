"""How many times a JPEG may make the decoder visit the picture."""

import io
import struct
from typing import Any

import pytest
from PIL import Image

from preprocessors.base import TooLarge
from preprocessors.image import ImageOptions, ImagePreprocessor
from preprocessors.pictures.jpeg import MAX_SCANS, check_structure

SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"


def encoded(**options: Any) -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(file, "JPEG", **options)
    return file.getvalue()


BASELINE, PROGRESSIVE = encoded(), encoded(progressive=True)


def with_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    body = PROGRESSIVE[:-2]
    last = body[body.rindex(b"\xff\xda") :]
    return body + last * (count - body.count(b"\xff\xda")) + b"\xff\xd9"


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    preprocessor = ImagePreprocessor(size=32)
    preprocessor.decode(with_scans(12), ImageOptions())
    with pytest.raises(TooLarge, match="more than 64 scans") as refusal:
        preprocessor.decode(with_scans(20_000), ImageOptions())
    assert (refusal.value.code, refusal.value.limit) == ("too_many_scans", MAX_SCANS)


def test_the_scan_limit_is_inclusive() -> None:
    check_structure(with_scans(MAX_SCANS))
    with pytest.raises(TooLarge):
        check_structure(with_scans(MAX_SCANS + 1))


def test_fill_bytes_junk_and_restarts_hide_no_scan() -> None:
    for disguise in (b"\xff\xff\xff", b"junk", b"\xff\x00", b"\xff\xd3", b"\xff\x01"):
        with pytest.raises(TooLarge):
            check_structure(b"\xff\xd8" + (disguise + SCAN) * (MAX_SCANS + 1))


def test_what_looks_like_scans_in_a_segment_or_behind_the_image_is_not_counted() -> None:
    thumbnail = SCAN * 200
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    check_structure(BASELINE[:2] + segment + BASELINE[2:] + bytes(2) + thumbnail)


def test_a_jpeg_of_countless_segments_is_refused() -> None:
    with pytest.raises(TooLarge) as refusal:
        check_structure(b"\xff\xd8" + b"\xff\xfe\x00\x02" * 100_000)
    assert refusal.value.code == "too_many_segments"
