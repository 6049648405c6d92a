"""STL meshes, binary and as text: triangles that share no vertices (3D Systems, StereoLithography Interface, 1989)."""

import re
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from preprocessors.clouds.cloud import Cloud, check_points, damaged
from preprocessors.clouds.number_lines import NumberLines

SOLID = re.compile(rb"\s*solid\s")
COUNT_AT = 80  # behind a header in which anything may be written
BODY = COUNT_AT + 4
TRIANGLE = np.dtype([("normal", "<f4", (3,)), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
VERTEX = re.compile(rb"^[ \t]*vertex[ \t]+([^\n]*)", re.MULTILINE | re.IGNORECASE)


def is_stl(payload: bytes) -> bool:
    return _is_binary(payload) or SOLID.match(payload) is not None


def read_stl(payload: bytes, max_points: int) -> Cloud:
    points = (_binary if _is_binary(payload) else _text)(payload, max_points)
    return Cloud(points, faces=np.arange(len(points)).reshape(-1, 3))


def _is_binary(payload: bytes) -> bool:
    """By its length, since it has no signature, and may even begin with the `solid` of text files."""
    return len(payload) >= BODY and len(payload) == BODY + TRIANGLE.itemsize * _count(payload)


def _binary(payload: bytes, max_points: int) -> NDArray[np.float64]:
    check_points(3 * _count(payload), max_points)
    triangles = np.frombuffer(payload[BODY:], TRIANGLE)
    return triangles["corners"].reshape(-1, 3).astype(np.float64)


def _text(payload: bytes, max_points: int) -> NDArray[np.float64]:
    vertices = [match[1] for match in islice(VERTEX.finditer(payload), max_points + 1)]
    check_points(len(vertices), max_points)
    table = NumberLines.parse(b"\n".join(vertices)).table()
    if len(vertices) % 3 or (vertices and table.shape != (len(vertices), 3)):
        raise damaged("its facets are not of three vertices with three coordinates")
    return table.reshape(-1, 3)


def _count(payload: bytes) -> int:
    return int.from_bytes(payload[COUNT_AT:BODY], "little")
