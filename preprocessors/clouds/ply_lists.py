"""Elements of a PLY file whose records differ in length, because they hold lists."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessors.base import Array
from preprocessors.clouds.cloud import damaged
from preprocessors.clouds.number_lines import NumberLines
from preprocessors.clouds.ply_header import Element
from preprocessors.clouds.polygons import Integers, whole

COUNT_FORMATS = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I"}
NO_LIST = struct.Struct("")

Steps = list[tuple[int, struct.Struct]]  # bytes of one number; how the length of a list of them is stored
Span = tuple[int, int]


@dataclass(frozen=True)
class Lists:
    """Where the list of each record starts, and its length, both (records,); and where the element ends.

    Positions count bytes of the file, or numbers of a text body.
    """

    starts: Integers
    lengths: Integers
    end: int


def text_lists(lines: NumberLines, element: Element, wanted: int) -> Lists:
    """Of the property with index `wanted`. All records are walked at once."""
    cursor, ends = lines.starts[:-1], lines.starts[1:]
    starts = lengths = np.zeros_like(cursor)
    for index, item in enumerate(element.properties):
        if (cursor >= ends).any():
            raise damaged(f"a line of its element {element.name} is too short")
        counts = whole(lines.values[cursor]) if item.count_kind else np.zeros_like(cursor)
        _check_length(int(counts.min(initial=0)))
        if index == wanted:
            starts, lengths = cursor + 1, counts
        cursor = cursor + 1 + counts
    if (cursor != ends).any():
        raise damaged(f"a line of its element {element.name} holds more or fewer numbers than it says")
    return Lists(starts, lengths, int(lines.starts[-1]))


def binary_lists(payload: bytes, offset: int, element: Element, byte_order: str, wanted: int) -> Lists:
    """Of the property with index `wanted`; at once where all records are as long as the first, like triangles."""
    if not element.count:
        return Lists(np.empty(0, np.int64), np.empty(0, np.int64), offset)
    steps: Steps = [
        (int(item.kind[1]), struct.Struct(byte_order + COUNT_FORMATS[item.count_kind]) if item.count_kind else NO_LIST)
        for item in element.properties
    ]
    if offset + element.count > len(payload):  # a record takes a byte at least
        raise damaged(f"its element {element.name} declares {element.count} records, which are not there")
    spans, end = _record(payload, offset, steps)
    rows = (end - offset) * np.arange(element.count)
    if end + int(rows[-1]) <= len(payload) and _alike(payload, element, byte_order, spans, rows):
        start, length = spans[wanted]
        return Lists(start + rows, np.full(len(rows), length), end + int(rows[-1]))
    return _walked(payload, offset, element.count, steps, wanted)


def gathered(payload: bytes, kind: str, positions: Integers) -> Array:
    """Numbers of numpy type `kind` at these bytes of the payload, aligned or not."""
    dtype = np.dtype(kind)
    anywhere: NDArray[np.generic] = np.ndarray((len(payload) - dtype.itemsize + 1,), dtype, payload, 0, (1,))
    return anywhere[positions]


def _alike(payload: bytes, element: Element, byte_order: str, spans: list[Span], rows: Integers) -> bool:
    for item, (start, length) in zip(element.properties, spans, strict=True):
        if item.count_kind:
            lengths = gathered(payload, byte_order + item.count_kind, start - int(item.count_kind[1]) + rows)
            if (lengths != length).any():
                return False
    return True


def _walked(payload: bytes, offset: int, count: int, steps: Steps, wanted: int) -> Lists:
    found = np.empty((count, 2), np.int64)
    for row in range(count):
        spans, offset = _record(payload, offset, steps)
        found[row] = spans[wanted]
    return Lists(found[:, 0], found[:, 1], offset)


def _record(payload: bytes, offset: int, steps: Steps) -> tuple[list[Span], int]:
    """Start and length of every property of the record at `offset`, and its end."""
    spans = []
    for size, counter in steps:
        length = 1
        if counter is not NO_LIST:
            (length,) = counter.unpack_from(payload, offset)
            _check_length(length)
            offset += counter.size
        spans.append((offset, length))
        offset += size * length
    if offset > len(payload):
        raise damaged("a list in it is longer than the file")
    return spans, offset


def _check_length(length: int) -> None:
    if length < 0:
        raise damaged("a list in it has a negative length")
