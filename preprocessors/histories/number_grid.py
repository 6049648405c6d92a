"""Rows of numbers in JSON -> an array, with an account of what is no number."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from preprocessors.histories.refusal import damaged, quoted
from preprocessors.histories.terms import Terms
from preprocessors.histories.variable import Values

NUMBERS = {float, int, type(None)}


def number_grid(rows: Any, terms: Terms, by_station: bool) -> Values:
    """(T, N) float64 from a list of equally long rows of numbers and nulls, which become NaN.

    by_station: a row is a station, else an hour, which may hold each number in a list of its own, for one variable.
    """
    rows = _rows(rows)
    width = len(rows[0])
    steps, stations = (width, len(rows)) if by_station else (len(rows), width)
    terms.check_size(steps, stations)
    _check_ragged(rows, width, by_station)
    if rows[0] and isinstance(rows[0][0], list):
        rows = [_one_variable(row) for row in rows]
    _check_numbers(rows, by_station)
    values = np.array(rows, np.float64)
    return values.T if by_station else values


def _rows(rows: Any) -> list[list[Any]]:
    if not isinstance(rows, list) or not rows:
        raise damaged(f"its values are {quoted(rows)}, expected a list of rows of numbers, one at least")
    for index, row in enumerate(rows):
        if not isinstance(row, list) or not row:
            raise damaged(f"row {index} of its values is {quoted(row)}, expected a list of numbers")
    return rows


def _check_ragged(rows: Sequence[Sequence[Any]], width: int, by_station: bool) -> None:
    for index, row in enumerate(rows):
        if len(row) != width:
            what, of = ("station", "hours") if by_station else ("hour", "stations")
            raise damaged(
                f"{what} {index} has the values of {len(row)} {of}, those before it of {width}",
                "send as many for each, with null where one is missing",
            )


def _one_variable(row: list[Any]) -> list[Any]:
    for cell in row:
        if not isinstance(cell, list) or len(cell) != 1:
            raise damaged(f"a value is {quoted(cell)}, expected a list of one number", "send one variable at a time")
    return [cell[0] for cell in row]


def _check_numbers(rows: Sequence[Sequence[Any]], by_station: bool) -> None:
    for index, row in enumerate(rows):
        if not set(map(type, row)) <= NUMBERS:
            column = next(number for number, value in enumerate(row) if type(value) not in NUMBERS)
            hour, station = (column, index) if by_station else (index, column)
            found = f"the value of hour {hour} of station {station}, both from 0, is {quoted(row[column])}"
            raise damaged(f"{found}, expected a number or null")
