"""Which station stands in which slot of a tree of nodes: neighbours on Earth together, whatever order they came in."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
ABSENT = -1


@dataclass(frozen=True)
class Tree:
    """node: stations per node. branches: at every level from the root, which stands for those it has at most."""

    node: int
    branches: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.node < 1 or not self.branches or min(self.branches) < 1:
            raise ValueError(f"a tree of {self.branches} with {self.node} stations a node holds no station")

    @property
    def capacity(self) -> int:
        return self.node * math.prod(self.branches)


def arranged(tree: Tree, latitude: Sequence[float], longitude: Sequence[float], ids: Sequence[str]) -> list[Indices]:
    """Indices of the stations by slot, ABSENT where there is none; an array for each tree that it takes.

    A group of stations is cut in two, across its longest extent on the globe, until each part fits the branches below
    (a k-d tree, Bentley 1975, of groups as equal as can be). Stations at one place are told apart by their ids.
    """
    return [slots.copy() for slots in _arranged(tree, tuple(latitude), tuple(longitude), tuple(ids))]


@lru_cache(maxsize=32)
def _arranged(
    tree: Tree, latitude: tuple[float, ...], longitude: tuple[float, ...], ids: tuple[str, ...]
) -> tuple[Indices, ...]:
    places = on_globe(np.array(latitude), np.array(longitude))
    order = np.lexsort((np.array(ids), places[:, 2], places[:, 1], places[:, 0]))
    return tuple(filled(tree, group, places) for group in parts(order, tree.capacity, places))


def filled(tree: Tree, group: Indices, places: NDArray[np.float64]) -> Indices:
    """(slots,) of one tree whose root has no more branches than the group needs."""
    sizes = [tree.node * math.prod(tree.branches[level:]) for level in range(1, len(tree.branches) + 1)]
    return _fill(group, sizes, places)


def _fill(group: Indices, sizes: Sequence[int], places: NDArray[np.float64]) -> Indices:
    """The stations of a group in branches of the first size, each filled by branches of the next."""
    if not sizes:
        return group
    size, below = sizes[0], sizes[1:]
    filled_branches = (_fill(part, below, places) for part in parts(group, size, places))
    return np.concatenate([_padded(branch, size) for branch in filled_branches])


def _padded(slots: Indices, size: int) -> Indices:
    return np.pad(slots, (0, size - len(slots)), constant_values=ABSENT)


def parts(group: Indices, size: int, places: NDArray[np.float64]) -> Iterator[Indices]:
    """A group cut into as few parts of at most `size` as can be, their sizes equal or one apart."""
    count = math.ceil(len(group) / size)
    yield from _cut(group, np.diff(np.linspace(0, len(group), count + 1).astype(int)).tolist(), places)


def _cut(group: Indices, sizes: list[int], places: NDArray[np.float64]) -> Iterator[Indices]:
    if len(sizes) == 1:
        yield group
        return
    extent = np.ptp(places[group], axis=0)
    ordered = group[np.argsort(places[group, int(extent.argmax())], kind="stable")]
    middle = len(sizes) // 2
    first = sum(sizes[:middle])
    yield from _cut(ordered[:first], sizes[:middle], places)
    yield from _cut(ordered[first:], sizes[middle:], places)


def on_globe(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Degrees -> (N, 3) on the unit sphere, where neither the poles nor the date line are seams."""
    north, east = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=1)
