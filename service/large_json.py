"""JSON that carries files as base64, parsed so that other threads can run meanwhile.

A JSON parser holds the interpreter's lock until it is done, for 30 MB longer than the event loop can afford to stand
still, even where the parser runs in a thread. Long strings are therefore cut out before parsing, and stay bytes.
"""

import binascii
from collections.abc import Mapping
from typing import Any

import orjson

LONG_BYTES = 1 << 16
MAX_STRINGS = 10_000  # looked at in one body; a body of many strings has none that is very long
CHUNK = 1 << 18  # base64 characters that are decoded at a time, a multiple of 4: half a millisecond

LongStrings = Mapping[str, memoryview]


def parse_json(body: bytes) -> tuple[Any, LongStrings]:
    """The parsed body, and its long strings without escapes by the marks that stand in their places.

    Raises orjson.JSONDecodeError, whose position counts a long string as its mark.
    """
    if len(body) <= LONG_BYTES:
        return orjson.loads(body), {}
    short, strings = _without_long_strings(body)
    return orjson.loads(short), strings


def _without_long_strings(body: bytes) -> tuple[bytes, LongStrings]:
    """As long as no string had an escape, each quote opens or closes one; from the first backslash on all is kept."""
    kept: list[bytes] = []
    strings: dict[str, memoryview] = {}
    view, copied, at = memoryview(body), 0, 0
    for _ in range(MAX_STRINGS):
        opening = body.find(b'"', at)
        closing = body.find(b'"', opening + 1)
        if opening < 0 or closing < 0 or body.find(b"\\", at, closing) >= 0:
            break
        if closing - opening > LONG_BYTES:
            kept += [body[copied : opening + 1], b"\\u0000%d" % len(strings)]
            strings[f"\0{len(strings)}"] = view[opening + 1 : closing]
            copied = closing
        at = closing + 1
    return b"".join([*kept, body[copied:]]), strings


def decode_in_chunks(text: memoryview) -> bytes:
    """Strict base64. Raises binascii.Error. Threads take turns between the chunks."""
    chunks = [binascii.a2b_base64(text[i : i + CHUNK], strict_mode=True) for i in range(0, len(text), CHUNK)]
    if any(len(chunk) < CHUNK // 4 * 3 for chunk in chunks[:-1]):
        raise binascii.Error("Excess data after padding")
    return b"".join(chunks)
