"""Against the standard library's parser, on what is a history and on what only looks like one."""

import json
import math

import numpy as np
import pytest

from preprocessors.histories.json_arrays import with_arrays


def told(payload: bytes) -> object:
    parsed = with_arrays(payload)
    return parsed and {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in parsed.items()}


@pytest.mark.parametrize(
    "members",
    [
        {"series": [[1, 2.5, -3e-7], [1e300, 0.1, 2**63]]},
        {"values": [[0.1 + 0.2, 1 / 3, math.pi, 5e-324]], "units": "degC", "horizon": 3, "missing": None},
        {"stations": [{"id": "a", "latitude": 1.5}, {"id": "b"}], "series": [[1, 2]], "flag": True},
        {"stations": ["a", "ü", "\U0001f327"], "series": [[1, 2, 3]] * 50},
    ],
)
def test_members_are_those_of_any_parser_and_grids_are_arrays(members: dict[str, object]) -> None:
    payload = json.dumps(members).encode()
    assert told(payload) == json.loads(payload)
    grid = next(value for value in (with_arrays(payload) or {}).values() if isinstance(value, np.ndarray))
    assert grid.dtype == np.float64


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[[1, 2]]",
        b'{"a": 1}',
        b'{"series": []}',
        b'{"series": [[]]}',
        b'{"series": [[1, null]]}',
        b'{"series": [[1, true]]}',
        b'{"series": [[1, "2"]]}',
        b'{"series": [[1, 2], [3]]}',
        b'{"series": [[1, 2], 3]}',
        b'{"series": [1, [2]]}',
        b'{"series": [[1, [2], 3]]}',
        b'{"series": [[[1, 2], 3, []]]}',
        b'{"series": [[[1], [2]]]}',
        b'{"series": [[1, NaN]]}',
        b'{"series": [[1, 1e999]]}',
        b'{"series": [[1]], "series": [[2]]}',
        b'{"series": [[1]], "units": "\xff"}',
        b'{"series": [[1]]} ,',
        b'{"series": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_what_is_no_plain_grid_is_left_to_a_parser_that_explains_itself(payload: bytes) -> None:
    assert with_arrays(payload) is None
