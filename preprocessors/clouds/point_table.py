"""Tables of numbers as text: xyz, csv with or without names of columns, and pts with its count of points."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessors.clouds.cloud import Cloud, check_points, damaged
from preprocessors.clouds.number_lines import NumberLines

OPENING_BYTES = 65_536  # among which the names of the columns, or the first point, are found
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|nan|inf)", re.IGNORECASE)
NATURAL = re.compile(r"\d{1,18}")
SEPARATOR = re.compile(r"[ \t]*[,;][ \t]*|[ \t]+")
LINE = re.compile(rb"[^\s\xef\xbb\xbf][^\r\n]*")  # from the first character that is no blank or byte order mark
COMMENTS = ("#", "//")
PTS_ATTRIBUTES = {4: ("intensity",), 6: ("red", "green", "blue"), 7: ("intensity", "red", "green", "blue")}


@dataclass(frozen=True)
class Opening:
    """The first line that says something. names: of the columns, if it gives them. start, end: where the line is."""

    words: tuple[str, ...]
    separators: frozenset[str]
    names: tuple[str, ...]
    start: int
    end: int

    @classmethod
    def of(cls, payload: bytes) -> "Opening":
        for match in LINE.finditer(payload, 0, OPENING_BYTES):
            line = match[0].decode("latin-1")
            names = _words(line.lstrip("#/"))
            if {"x", "y", "z"} <= {word.lower() for word in names}:
                return cls(names, frozenset(), names, *match.span())
            if not line.startswith(COMMENTS):
                numbers = line.split("#")[0].strip()
                separators = frozenset(item.strip() for item in SEPARATOR.findall(numbers))
                return cls(_words(numbers), separators, (), *match.span())
        return cls((), frozenset(), (), 0, 0)


def _words(line: str) -> tuple[str, ...]:
    return tuple(word.strip("\"'") for word in SEPARATOR.split(line.strip()))


def is_xyz(payload: bytes) -> bool:
    opening = Opening.of(payload)
    return not opening.names and len(opening.words) >= 3 and all(map(NUMBER.fullmatch, opening.words))


def is_csv(payload: bytes) -> bool:
    opening = Opening.of(payload)
    return bool(opening.names) or (is_xyz(payload) and opening.separators != {""})


def is_pts(payload: bytes) -> bool:
    words = Opening.of(payload).words
    return len(words) == 1 and NATURAL.fullmatch(words[0]) is not None


def read_table(payload: bytes, max_points: int) -> Cloud:
    """The columns named x, y and z, others as attributes; where there are no names, the first three."""
    opening = Opening.of(payload)
    if len(opening.separators) > 1:
        raise damaged("it separates its numbers in more than one way; decimals are written with a point")
    body = payload[opening.end if opening.names else opening.start :]
    table = _table(body, max_points)
    names = opening.names or tuple("xyz")
    if opening.names and len(names) != table.shape[1] and table.size:
        raise damaged(f"it names {len(names)} columns, its rows hold {table.shape[1]} numbers")
    return _cloud(table, names)


def read_pts(payload: bytes, max_points: int) -> Cloud:
    """The number of points, then x y z of each, and maybe intensity, colours or both."""
    opening = Opening.of(payload)
    declared = int(opening.words[0])
    check_points(declared, max_points)
    table = _table(payload[opening.end :], max_points)
    if len(table) != declared:
        raise damaged(f"it declares {declared} points, and holds {len(table)}")
    return _cloud(table, ("x", "y", "z", *PTS_ATTRIBUTES.get(table.shape[1], ())))


def _table(text: bytes, max_points: int) -> NDArray[np.float64]:
    return NumberLines.parse(text, max_points).table()


def _cloud(table: NDArray[np.float64], names: tuple[str, ...]) -> Cloud:
    if not table.size:
        return Cloud(np.empty((0, 3)))
    if table.shape[1] < 3:
        raise damaged(f"its rows hold {table.shape[1]} numbers, a point has three")
    return Cloud.of_columns(dict(zip(names, table.T, strict=False)))
