"""Limits on a JPEG's structure that no decoder enforces.

Each scan of a progressive JPEG makes the decoder visit the whole picture again: thirty bytes of file buy a pass over
all its pixels. So scans are counted first, by walking the markers as the decoder does.
"""

import re

from preprocessors.base import TooLarge

MAX_SCANS = 64  # encoders write about ten
MAX_SEGMENTS = 4096  # a large colour profile takes some fifty
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
# After 0xFF: stuffing (00) and fill (FF) are no markers; TEM (01) and restarts (D0 to D7) have no length
MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")


def check_structure(payload: bytes) -> None:
    """Raise TooLarge for a JPEG with more than MAX_SCANS scans or MAX_SEGMENTS segments.

    Segments are skipped by their length, so that a thumbnail within one is not counted, and so is all that follows
    the end of the image, where phones append films.
    """
    scans = segments = 0
    position = 2
    while marker := MARKER.search(payload, position):
        code, position = marker[1][0], marker.end()
        if code == END_OF_IMAGE:
            return
        segments += 1
        scans += code == START_OF_SCAN
        _limit("scans", scans, MAX_SCANS)
        _limit("segments", segments, MAX_SEGMENTS)
        position += int.from_bytes(payload[position : position + 2], "big")


def _limit(noun: str, actual: int, limit: int) -> None:
    if actual > limit:
        detail = f"the JPEG has more than {limit} {noun}, at most {limit} are decoded: save it again as a baseline JPEG"
        raise TooLarge(f"too_many_{noun}", detail, limit, actual)
