"""The value that every reader of point clouds and meshes returns, and the limits that all of them hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from preprocessors.base import Array, TooLarge, UndecodableInput

FACES_PER_POINT = 2  # a closed surface of triangles has twice as many faces as vertices (Euler)
BYTES_PER_POINT = 64  # compressed files may inflate to this much for each point that may be read
LONGEST_REASON = 300  # characters
PADDING = b"\0 \t\r\n"
NORMALS = ("nx", "ny", "nz")  # what PLY files call them
NO_FACES = np.empty((0, 3), np.int64)


@dataclass(frozen=True)
class Cloud:
    """Points as they are in the file, in its order and its units.

    points: (N, 3) float64, x y z. attributes: (N,) real numbers by name, such as intensity or velocity; views of the
    file's own bytes where possible. faces: (F, 3) triangles of a mesh, each index in 0 ... N - 1; F = 0 where the file
    holds points alone.
    """

    points: NDArray[np.float64]
    attributes: Mapping[str, Array] = field(default_factory=dict)
    faces: NDArray[np.int64] = field(default_factory=NO_FACES.copy)

    @classmethod
    def of_columns(cls, columns: Mapping[str, Array], faces: NDArray[np.int64] = NO_FACES) -> "Cloud":
        """From (N,) columns by name; the coordinates are those named x, y and z, in either case."""
        names = {name.lower(): name for name in columns}
        missing = [axis for axis in "xyz" if axis not in names]
        if missing:
            raise damaged(f"its points have no {', '.join(missing)}")
        axes = [names[axis] for axis in "xyz"]
        points = np.empty((len(columns[axes[0]]), 3), np.float64)
        for index, axis in enumerate(axes):
            points[:, index] = columns[axis]
        return cls(points, {name: column for name, column in columns.items() if name not in axes}, faces)


def damaged(reason: str) -> UndecodableInput:
    """The refusal of a file whose format is known. The reason may quote it, and is cut where it quotes too much."""
    reason = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}..."
    return UndecodableInput("undecodable_input", f"the point cloud cannot be decoded ({reason}): export it again")


def check_size(payload: bytes, size: int) -> None:
    """Refuse a binary file that is shorter than its header declares."""
    if size > len(payload):
        raise damaged(f"its header declares at least {size} bytes, there are {len(payload)}")


def check_end(payload: bytes, end: int) -> None:
    """Refuse what follows the end of a binary file, but for padding."""
    if payload[end:].strip(PADDING):
        raise damaged(f"its header declares {end} bytes, there are {len(payload)}")


def check_points(count: int, max_points: int) -> None:
    """Refuse a declared number of points (or of vertices)."""
    if count > max_points:
        detail = f"the file declares {count} points, at most {max_points} are read: thin the cloud out"
        raise TooLarge("too_many_points", detail, max_points, count)


def check_faces(count: int, max_points: int) -> None:
    """Refuse a declared number of polygons, or of the triangles that they are cut into."""
    limit = FACES_PER_POINT * max_points
    if count > limit:
        detail = f"the mesh declares {count} faces, at most {limit} are read: simplify it"
        raise TooLarge("too_many_points", detail, limit, count)


def check_inflated(size: int, max_points: int) -> None:
    """Refuse the declared size in bytes of what is compressed."""
    limit = BYTES_PER_POINT * max_points
    if size > limit:
        detail = f"the file inflates to {size} bytes, at most {limit} are read: leave out what is not needed"
        raise TooLarge("too_much_memory", detail, limit, size)
