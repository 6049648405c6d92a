"""Columns of pyarrow -> numpy: numbers, labels and times."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from preprocessors.base import Array, UndecodableInput
from preprocessors.histories.arrow_file import Columns, arrow
from preprocessors.histories.clock import Microseconds, microseconds, parse_time
from preprocessors.histories.refusal import damaged
from preprocessors.histories.variable import Values

FIRST_LINE = 2  # as editors count them, below the names of the columns


class Labels(NamedTuple):
    """names: what a column says, each once, in the order of its appearance. rows: (R,) which of them each row says."""

    names: list[str]
    rows: NDArray[np.int64]


def floats(table: Columns, name: str) -> Values:
    """(R,) float64, NaN for null."""
    column, pyarrow = table[name], arrow()
    if column.type != pyarrow.float64():
        types = pyarrow.types
        kinds = (types.is_integer, types.is_floating, types.is_decimal, types.is_null)
        if not any(is_kind(column.type) for is_kind in kinds):
            raise damaged(f"its column {name} is of type {column.type}, expected numbers")
        column = column.cast(pyarrow.float64())
    return _plain(column.fill_null(np.nan)) if column.null_count else _plain(column)


def labels(table: Columns, name: str) -> Labels:
    """Text, or whole numbers, which have no leading zeros to lose."""
    pyarrow = arrow()
    column = table[name]
    if pyarrow.types.is_integer(column.type):
        column = column.cast(pyarrow.string())
    if not pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    words, codes = _decoded(column, name)
    if not all(isinstance(word, str) for word in words):
        raise damaged(f"its column {name} is of type {column.type.value_type}, expected text")
    return _in_order(words, codes)


def _decoded(column: Any, name: str) -> tuple[list[Any], NDArray[np.int64]]:
    """The words of a dictionary, and which of them each row says."""
    if column.null_count:
        raise _empty(column, name)
    parts = column.unify_dictionaries().chunks
    if not parts:
        return [], np.empty(0, np.int64)
    codes = np.concatenate([np.from_dlpack(part.indices) for part in parts])
    return parts[0].dictionary.to_pylist(), codes.astype(np.int64)


def _in_order(words: list[str], codes: NDArray[np.int64]) -> Labels:
    used, first, rows = np.unique(codes, return_index=True, return_inverse=True)
    numbers: dict[str, int] = {}
    for code in used[np.argsort(first)]:
        numbers.setdefault(words[code], len(numbers))
    return Labels(list(numbers), np.array([numbers[words[code]] for code in used], np.int64)[rows])


def times(table: Columns, name: str) -> Microseconds:
    """(R,) microseconds after 1970, UTC. Text is ISO 8601; times that have no zone are UTC already."""
    pyarrow = arrow()
    column = table[name]
    kind = column.type
    if not (pyarrow.types.is_timestamp(kind) or pyarrow.types.is_date(kind)):
        texts = labels(table, name)
        return np.array([microseconds(parse_time(text)) for text in texts.names], np.int64)[texts.rows]
    if column.null_count:
        raise _empty(column, name)
    exact = column.cast(pyarrow.timestamp("us", getattr(kind, "tz", None)))
    return _plain(exact.cast(pyarrow.int64()))


def _plain(column: Any) -> Array:
    """(R,) of a column without nulls. pyarrow's own way would import pandas, wherever it is installed."""
    return np.concatenate([np.from_dlpack(part) for part in column.chunks] or [np.empty(0)])


def _empty(column: Any, name: str) -> UndecodableInput:
    row = column.is_null().index(True).as_py()
    return damaged(f"its column {name} is empty in row {row + FIRST_LINE}")
