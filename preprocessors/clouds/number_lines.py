"""Lines of numbers, the body of every text format: parsed at the speed of C, and checked line by line."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessors.clouds.cloud import check_points, damaged

MAX_COLUMNS = 1_000
HASH = ord("#")
NEWLINE = ord("\n")
SPACE = ord(" ")
SEPARATORS = bytes.maketrans(b",;\t\v\f\r", b"     \n")  # what stands between numbers in one format or another


@dataclass(frozen=True)
class NumberLines:
    """values: (V,) float64, all numbers in their order. starts: (lines + 1,) int64, where in them each line begins.

    Empty lines are left out, and what follows a `#`.
    """

    values: NDArray[np.float64]
    starts: NDArray[np.int64]

    @classmethod
    def parse(cls, text: bytes, max_lines: int | None = None) -> "NumberLines":
        """Numbers separated by blanks, commas or semicolons; max_lines: most lines, one a point, that are parsed.

        Takes up to some twenty times the memory of the text.
        """
        text = _without_comments(text.translate(SEPARATORS)).strip()
        starts = _line_starts(text)
        if max_lines is not None:
            check_points(len(starts) - 1, max_lines)
        try:
            values = np.fromstring(text, np.float64, sep=" ") if text else np.empty(0)
        except (ValueError, DeprecationWarning):  # numpy before 2.3 only warns, and returns what it has read so far
            values = np.empty(0)
        if len(values) != starts[-1]:
            raise damaged("it holds something else where only numbers should be")
        return cls(values, starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def part(self, first: int, count: int) -> "NumberLines":
        """`count` lines from `first` on."""
        starts = self.starts[first : first + count + 1]
        return NumberLines(self.values[starts[0] : starts[-1]], starts - starts[0])

    def first_columns(self, count: int) -> NDArray[np.float64]:
        """(lines, count), where lines may hold more."""
        if (np.diff(self.starts) < count).any():
            raise damaged(f"a point in it has fewer than {count} coordinates")
        return self.values[self.starts[:-1, None] + np.arange(count)]

    def table(self) -> NDArray[np.float64]:
        """(lines, columns), where every line holds as many numbers."""
        if not len(self):
            return np.empty((0, 0))
        lengths = np.diff(self.starts)
        columns = int(lengths[0])
        if columns > MAX_COLUMNS:
            raise damaged(f"a line holds {columns} numbers, at most {MAX_COLUMNS} are read")
        ragged = np.flatnonzero(lengths != columns)
        if ragged.size:
            row = int(ragged[0])
            raise damaged(f"row {row + 1} holds {lengths[row]} numbers, the rows before it {columns}")
        return self.values.reshape(-1, columns)


def _without_comments(text: bytes) -> bytes:
    """The same length, with blanks from each # to the end of its line."""
    if b"#" not in text:
        return text
    characters = np.frombuffer(text, np.uint8).copy()
    hashes, newlines = np.flatnonzero(characters == HASH), np.flatnonzero(characters == NEWLINE)
    line = np.searchsorted(newlines, hashes)
    first = np.diff(line, prepend=-1) > 0
    change = np.zeros(len(text) + 1, np.int8)
    change[hashes[first]] = 1
    change[np.append(newlines, len(text))[line[first]]] = -1
    characters[np.cumsum(change[:-1], dtype=np.int8).astype(bool)] = SPACE
    return characters.tobytes()


def _line_starts(text: bytes) -> NDArray[np.int64]:
    """Which number of the text each line begins with that has any, and how many there are."""
    characters = np.frombuffer(text, np.uint8)
    blank = characters <= SPACE
    begins = ~blank
    begins[1:] &= blank[:-1]
    numbers = np.flatnonzero(begins)
    after_newlines = np.searchsorted(numbers, np.flatnonzero(characters == NEWLINE))
    starts = np.concatenate([[0], after_newlines, [len(numbers)]])
    return starts[np.diff(starts, prepend=-1) > 0]
