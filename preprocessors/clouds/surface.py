"""The surface of a mesh, as points spread evenly over it."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def sample_surface(vertices: Values, faces: NDArray[np.int64], count: int, rng: np.random.Generator) -> Values:
    """(count, C) points, each as likely as any other of the surface; the vertices where the faces have no area.

    vertices: (N, C), x y z and then further values, which are interpolated. faces: (F, 3).
    """
    cumulated = np.cumsum(_areas(vertices[:, :3], faces))
    if not cumulated[-1] > 0:
        return vertices
    chosen = np.searchsorted(cumulated, rng.random(count) * cumulated[-1], side="right")
    first, second, third = (vertices[corner] for corner in faces[np.minimum(chosen, len(faces) - 1)].T)
    # Uniform in a triangle: Osada et al., Shape Distributions, 2002, section 4.1
    outward, across = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    return (1 - outward) * first + outward * (1 - across) * second + outward * across * third


def _areas(points: Values, faces: NDArray[np.int64]) -> Values:
    """(F,), in any unit: the coordinates are scaled to at most 1, so that nothing overflows."""
    scaled = points / max(float(np.abs(points).max()), np.finfo(np.float64).tiny)
    origin = scaled[faces[:, 0]]
    normals = np.cross(scaled[faces[:, 1]] - origin, scaled[faces[:, 2]] - origin)
    areas: Values = np.sqrt(np.square(normals).sum(axis=1))
    return areas
