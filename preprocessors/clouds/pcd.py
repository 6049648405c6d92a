"""PCD files of the Point Cloud Library: text, binary, and compressed (PCD file format, version 0.7)."""

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod

import numpy as np

from preprocessors.base import Array
from preprocessors.clouds.cloud import Cloud, check_end, check_inflated, check_points, check_size, damaged
from preprocessors.clouds.lzf import decompressed
from preprocessors.clouds.number_lines import NumberLines

MAX_HEADER = 65_536
END = re.compile(rb"(?:\A|\n)[ \t]*DATA[ \t]+(\w+)[ \t]*\r?\n")
TYPES = {"F": ("4", "8"), "I": ("1", "2", "4", "8"), "U": ("1", "2", "4", "8")}
MOST_NUMBERS = 10_000  # of a point
SIZES = struct.Struct("<II")  # of what follows, and of what it is decompressed to

Columns = dict[str, Array]


@dataclass(frozen=True)
class Field:
    """`count` numbers, of numpy type `kind`, of every point."""

    name: str
    kind: str
    count: int


@dataclass(frozen=True)
class Header:
    fields: tuple[Field, ...]
    points: int

    @property
    def record(self) -> np.dtype[np.void]:
        """A point in a binary body. PCL names every padding `_`, so fields go by their place."""
        return np.dtype([(str(index), item.kind, (item.count,)) for index, item in enumerate(self.fields)])


def read_pcd(payload: bytes, max_points: int) -> Cloud:
    end = END.search(payload, 0, MAX_HEADER)
    if end is None:
        raise damaged(f"its first {MAX_HEADER} bytes hold no line DATA")
    encoding = end[1].decode().lower()
    if encoding not in BODIES:
        raise damaged(f"its DATA is {encoding}, expected one of {', '.join(BODIES)}")
    header = _header(payload[: end.start()])
    check_points(header.points, max_points)
    return Cloud.of_columns(BODIES[encoding](payload[end.end() :], header, max_points))


def _header(text: bytes) -> Header:
    entries = dict[str, list[str]]()
    for line in text.decode("latin-1").splitlines():
        match line.split():
            case [keyword, *words] if not keyword.startswith("#"):
                entries[keyword] = words
    names = entries.get("FIELDS", [])
    counts = _naturals(entries.get("COUNT", ["1"] * len(names)))
    types, sizes = entries.get("TYPE", []), entries.get("SIZE", [])
    if not len(names) == len(counts) == len(types) == len(sizes):
        raise damaged(f"its header names {len(names)} fields, {len(sizes)} sizes, {len(types)} types")
    if not 0 < sum(counts) <= MOST_NUMBERS or 0 in counts:
        raise damaged(f"its points hold {sum(counts)} numbers each, expected 1 to {MOST_NUMBERS}")
    fields = zip(names, (_kind(*pair) for pair in zip(types, sizes, strict=True)), counts, strict=True)
    return Header(tuple(Field(*item) for item in fields), _points(entries))


def _points(entries: dict[str, list[str]]) -> int:
    size = prod(_naturals(entries.get("WIDTH", ["0"]) + entries.get("HEIGHT", ["1"])))
    points = prod(_naturals(entries.get("POINTS", [str(size)])))
    if "WIDTH" in entries and points != size:
        raise damaged(f"its header declares {points} points, but {size} by WIDTH and HEIGHT")
    return points


def _naturals(words: list[str]) -> list[int]:
    if not all(re.fullmatch(r"[0-9]{1,18}", word) for word in words):
        raise damaged(f"its header has a count {' '.join(words)!r}")
    return [int(word) for word in words]


def _kind(letter: str, size: str) -> str:
    if size not in TYPES.get(letter.upper(), ()):
        raise damaged(f"its header has a field of type {letter!r} and of {size} bytes")
    return f"<{letter.lower()}{size}"


def _text(body: bytes, header: Header, max_points: int) -> Columns:
    table = NumberLines.parse(body).table()
    ends = list(accumulate(item.count for item in header.fields))
    if table.shape != (header.points, ends[-1]) and (table.size or header.points):
        raise damaged(f"it holds {table.shape[0]} lines of {table.shape[1]} numbers, not {header.points} of {ends[-1]}")
    parts = np.split(table, ends[:-1], axis=1) if table.size else [np.empty((0, item.count)) for item in header.fields]
    return _columns(header, parts)


def _binary(body: bytes, header: Header, max_points: int) -> Columns:
    size = header.points * header.record.itemsize
    check_size(body, size)
    check_end(body, size)
    table = np.frombuffer(body, header.record, header.points)
    return _columns(header, [table[name] for name in header.record.names or ()])


def _compressed(body: bytes, header: Header, max_points: int) -> Columns:
    """All values of the first field, then all of the second, and so on."""
    check_size(body, SIZES.size)
    packed, size = SIZES.unpack_from(body)
    check_size(body, SIZES.size + packed)
    check_end(body, SIZES.size + packed)
    check_inflated(size, max_points)
    if size != header.points * header.record.itemsize:
        raise damaged(f"its values take {size} bytes, its header declares {header.points * header.record.itemsize}")
    values, start, parts = decompressed(body[SIZES.size : SIZES.size + packed], size), 0, list[Array]()
    for item in header.fields:
        part = np.frombuffer(values, item.kind, item.count * header.points, start)
        parts.append(part.reshape(header.points, item.count))
        start += part.nbytes
    return _columns(header, parts)


def _columns(header: Header, parts: Sequence[Array]) -> Columns:
    """Of the fields that are one number; parts: (points, count) for each field."""
    pairs = zip(header.fields, parts, strict=True)
    return {item.name: part[:, 0] for item, part in pairs if item.count == 1 and item.name != "_"}


BODIES: dict[str, Callable[[bytes, Header, int], Columns]] = {
    "ascii": _text,
    "binary": _binary,
    "binary_compressed": _compressed,
}
