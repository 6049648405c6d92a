import json
from typing import Any

import orjson
import pytest

from service.json_outline import outline

ROWS, ROW = [[1.5, -2e-3]] * 20_000, [0.25] * 40_000


@pytest.mark.parametrize(
    ("body", "short"),
    [
        ({"inputs": [{"series": ROWS, "name": "a"}]}, {"inputs": [{"series": [[0]], "name": "a"}]}),
        ({"inputs": [{"name": "a", "series": ROW}]}, {"inputs": [{"name": "a", "series": [0]}]}),
        (
            {"inputs": [{"series": ROW}, {"series": ROW, "units": "K"}], "model": "m"},
            {"inputs": [{"series": [0]}, {"series": [0], "units": "K"}], "model": "m"},
        ),
        ({"a": 1, "series": ROWS}, {"a": 1, "series": [[0]]}),
        (ROWS, [[0]]),
    ],
)
def test_long_arrays_are_cut_down_and_the_rest_is_kept(body: Any, short: Any) -> None:
    for content in (orjson.dumps(body), json.dumps(body, indent=1).encode()):
        assert orjson.loads(outline(content)) == short


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": [{"series": [1, 2]}]},
        ["x", ROW, ROW],
        {"a": '"[', "b": "\\", "series": ROW},
        [["x", *ROW], 5],
        [{}] * 30_000,
        {"a": [{"b": 1}] * 20_000, "c": []},
    ],
)
def test_what_is_short_or_unclear_is_left_as_it_is(body: Any) -> None:
    assert orjson.loads(outline(orjson.dumps(body))) == body


@pytest.mark.parametrize("content", [b"", b'{"a": [', b'{"a": [' + b"1," * 50_000, b"]" * 70_000, b'"' * 70_000])
def test_broken_json_stays_broken(content: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(outline(content))
