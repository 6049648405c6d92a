"""The polygons of a mesh, cut into triangles."""

import numpy as np
from numpy.typing import NDArray

from preprocessors.base import Array
from preprocessors.clouds.cloud import check_faces, damaged

Integers = NDArray[np.int64]


def fan(starts: Integers, lengths: Integers, max_points: int, stride: int = 1) -> Integers:
    """Where the three corners of each triangle are stored, (F, 3), for polygons stored one corner after the other.

    starts: (polygons,) position of each first corner. lengths: (polygons,) corners of each; those of fewer than three
    are left out. stride: distance from corner to corner. All triangles of a polygon share its first corner.
    """
    triangles = np.maximum(lengths - 2, 0)
    check_faces(int(triangles.sum()), max_points)
    polygon = np.repeat(np.arange(len(triangles)), triangles)
    step = np.arange(len(polygon)) - (np.cumsum(triangles) - triangles)[polygon]
    first = starts[polygon]
    return np.stack([first, first + stride * (step + 1), first + stride * (step + 2)], axis=1)


def whole(numbers: Array) -> Integers:
    """Counts or indices that a text file holds, as integers."""
    with np.errstate(invalid="ignore"):
        if not (np.mod(numbers, 1) == 0).all():
            raise damaged("an index or a count in it is not a whole number")
    if np.abs(numbers).max(initial=0) > np.iinfo(np.int32).max:
        raise damaged("an index or a count in it is beyond all reason")
    return numbers.astype(np.int64)


def checked(triangles: Array, vertices: int) -> Integers:
    """The same as int64, or a refusal where a corner is not one of the vertices."""
    if triangles.size:
        for index in (int(triangles.min()), int(triangles.max())):
            if not 0 <= index < vertices:
                raise damaged(f"a face names the vertex {index}, there are 0 to {vertices - 1}")
    return triangles.astype(np.int64)
