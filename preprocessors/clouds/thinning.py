"""Which points of a cloud a model sees, where it has more than fit."""

from collections.abc import Callable
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from preprocessors.clouds.polygons import Integers

MOST_CANDIDATES = 65_536


class Sampling(StrEnum):
    """How points are picked: each far from those before it, or all with the same chance."""

    FARTHEST = "farthest"
    RANDOM = "random"


def farthest(points: NDArray[np.float64], count: int, rng: np.random.Generator) -> Integers:
    """Farthest point sampling (Eldar et al., 1997; as in PointNet++, section 3.2).

    Starts at the point farthest from the origin. Large clouds are thinned at random first, to bound the cost. Fewer
    than `count` are picked where the rest would only repeat them.
    """
    candidates = random(points, MOST_CANDIDATES, rng) if len(points) > MOST_CANDIDATES else np.arange(len(points))
    coordinates = np.ascontiguousarray(points[candidates].T, np.float32)
    chosen = np.empty(count, np.int64)
    nearest = np.full(len(candidates), np.inf, np.float32)
    here = int(np.square(coordinates).sum(axis=0).argmax())
    for index in range(count):
        chosen[index] = here
        offsets = coordinates - coordinates[:, here : here + 1]
        np.minimum(nearest, np.einsum("cn,cn->n", offsets, offsets), out=nearest)
        here = int(nearest.argmax())
        if nearest[here] == 0:
            return candidates[chosen[: index + 1]]
    return candidates[chosen]


def random(points: NDArray[np.float64], count: int, rng: np.random.Generator) -> Integers:
    """Without replacement."""
    return rng.choice(len(points), count, replace=False)


SAMPLERS: dict[Sampling, Callable[[NDArray[np.float64], int, np.random.Generator], Integers]] = {
    Sampling.FARTHEST: farthest,
    Sampling.RANDOM: random,
}
