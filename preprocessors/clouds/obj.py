"""OBJ meshes: vertices and faces; what belongs to textures, normals and curves is not looked at (Wavefront, 1991)."""

import re
from collections.abc import Callable
from itertools import islice

import numpy as np

from preprocessors.clouds.cloud import FACES_PER_POINT, Cloud, check_faces, check_points, damaged
from preprocessors.clouds.number_lines import NumberLines
from preprocessors.clouds.polygons import Integers, checked, fan, whole

KEYWORD = re.compile(rb"(?:\s|#[^\n]*\n)*+(?:v|vt|vn|vp|f|l|p|o|g|s|mtllib|usemtl)[ \t\r\n]")
VERTEX = re.compile(rb"^[ \t]*v[ \t]+([^\n]*)", re.MULTILINE)
FACE = re.compile(rb"^[ \t]*f[ \t]+([^\n]*)", re.MULTILINE)
CONTINUATION = re.compile(rb"\\\r?\n")
TEXTURE_AND_NORMAL = re.compile(rb"/\S*")


def read_obj(payload: bytes, max_points: int) -> Cloud:
    """Without faces it is a cloud of its vertices."""
    text = CONTINUATION.sub(b" ", payload) if b"\\" in payload else payload
    defined, vertices = _lines(VERTEX, text, check_points, max_points)
    used, faces = _lines(FACE, text, check_faces, max_points)
    corners = _corners(faces, np.searchsorted(defined, used))
    triangles = checked(corners, len(defined))[fan(faces.starts[:-1], np.diff(faces.starts), max_points)]
    return Cloud(vertices.first_columns(3), faces=triangles)


def _lines(
    keyword: re.Pattern[bytes], text: bytes, check: Callable[[int, int], None], max_points: int
) -> tuple[Integers, NumberLines]:
    """Where in the file the lines with a keyword are, and their numbers."""
    most = FACES_PER_POINT * max_points
    found = [(match.start(), match[1]) for match in islice(keyword.finditer(text), most + 1)]
    check(len(found), max_points)
    lines = NumberLines.parse(TEXTURE_AND_NORMAL.sub(b"", b"\n".join(line for _, line in found)))
    if len(lines) != len(found):
        raise damaged("a vertex or a face has no numbers")
    return np.array([position for position, _ in found], np.int64), lines


def _corners(faces: NumberLines, defined: Integers) -> Integers:
    """All indices, from 0. In the file they begin with 1, or with -1 for the last vertex of those `defined` so far."""
    indices = whole(faces.values)
    return np.where(indices < 0, indices + np.repeat(defined, np.diff(faces.starts)), indices - 1)
