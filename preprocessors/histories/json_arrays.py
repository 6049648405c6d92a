"""JSON objects whose large grids of numbers become arrays, without a Python object for each number."""

from typing import Any

import numpy as np
import simdjson

from preprocessors.histories.variable import Values

FAULTS = (ValueError, RuntimeError, UnicodeDecodeError)  # what simdjson raises for what is no JSON, or not to its mind


def with_arrays(payload: bytes) -> dict[str, Any] | None:
    """Its members, those that are lists of equally long lists of numbers as (rows, columns) float64.

    None where it is anything but an object with such a member, nothing else nested deeper than a list, and no name
    twice: then a parser that explains itself is to read it.
    """
    try:
        document = simdjson.Parser().parse(payload)
    except FAULTS:
        return None
    if not isinstance(document, simdjson.Object):
        return None
    names = list(document.keys())
    lists = {name: value for name in names if isinstance(value := document[name], simdjson.Array)}
    grids = {name: grid for name, value in lists.items() if (grid := _grid(value)) is not None}
    # The buffer of an array is flat: a list in the place of a number would not be seen in it
    brackets = len(lists) + sum(map(len, grids.values()))
    if not grids or len(set(names)) < len(names) or payload.count(b"[") != brackets:
        return None
    return {name: grids[name] if name in grids else _plain(document[name]) for name in names}


def _grid(rows: simdjson.Array) -> Values | None:
    if not len(rows) or not isinstance(rows[0], simdjson.Array):
        return None
    widths = {len(row) if isinstance(row, simdjson.Array) else None for row in rows}
    try:
        numbers = np.frombuffer(rows.as_buffer(of_type="d"), np.float64)
    except TypeError:  # not all are numbers
        return None
    return numbers.reshape(len(rows), -1) if len(widths) == 1 and widths != {0} else None


def _plain(value: Any) -> Any:
    if isinstance(value, simdjson.Array):
        return value.as_list()
    return value.as_dict() if isinstance(value, simdjson.Object) else value
