"""OFF meshes, with colours (COFF), normals (NOFF) or both (Object File Format, Geomview)."""

import re

from preprocessors.clouds.cloud import Cloud, check_faces, check_points, damaged
from preprocessors.clouds.number_lines import NumberLines
from preprocessors.clouds.polygons import Integers, checked, fan, whole

# Some files of ModelNet have no blank between the keyword and the counts
COUNTS = re.compile(rb"[^O]{0,9}OFF(?:\s|#[^\n]*\n)*+(\d{1,18})[ \t]+(\d{1,18})(?:[ \t]+\d+)?(?=\s|\Z)")


def read_off(payload: bytes, max_points: int) -> Cloud:
    counts = COUNTS.match(payload)
    if counts is None:
        raise damaged("it does not say how many vertices and faces it holds")
    vertices, faces = int(counts[1]), int(counts[2])
    check_points(vertices, max_points)
    check_faces(faces, max_points)
    lines = NumberLines.parse(payload[counts.end() :])
    if len(lines) != vertices + faces:
        raise damaged(f"it declares {vertices} vertices and {faces} faces, and holds {len(lines)} lines")
    triangles = _triangles(lines.part(vertices, faces), max_points)
    return Cloud(lines.part(0, vertices).first_columns(3), faces=checked(triangles, vertices))


def _triangles(lines: NumberLines, max_points: int) -> Integers:
    """Each line is the number of corners, their vertices, and maybe a colour."""
    first = lines.starts[:-1]
    lengths = whole(lines.values[first])
    if (lengths < 0).any() or (first + 1 + lengths > lines.starts[1:]).any():
        raise damaged("a face has fewer corners than it declares")
    return whole(lines.values[fan(first + 1, lengths, max_points)])
