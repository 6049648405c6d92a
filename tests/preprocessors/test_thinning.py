"""Which points of a cloud are picked."""

import numpy as np
import pytest

from preprocessors.clouds import thinning
from preprocessors.clouds.thinning import SAMPLERS, Sampling, farthest, random
from tests.clouds import Values, cloud


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def greedily_farthest(points: Values, count: int) -> list[int]:
    """By the definition: next is the point whose nearest picked neighbour is the farthest away."""
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    picked = [int(np.linalg.norm(points, axis=1).argmax())]
    while len(picked) < count:
        picked.append(int(distances[picked].min(axis=0).argmax()))
    return picked


@pytest.mark.parametrize("seed", range(3))
def test_farthest_points_are_those_of_the_definition(seed: int) -> None:
    points = cloud(200, seed) / 1000
    assert farthest(points, 60, rng()).tolist() == greedily_farthest(points, 60)


def test_farthest_points_of_large_clouds_are_picked_among_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "MOST_CANDIDATES", 50)
    points = cloud(200) / 1000
    candidates = random(points, 50, rng())
    expected = candidates[greedily_farthest(points[candidates], 20)]
    np.testing.assert_array_equal(farthest(points, 20, rng()), expected)


def test_points_at_the_same_place_are_picked_once() -> None:
    points = np.repeat(cloud(5), 40, axis=0)
    picked = farthest(points, 100, rng())
    assert len(picked) == len(np.unique(points[picked], axis=0)) == 5


def test_random_points_are_picked_with_the_same_chance_and_without_replacement() -> None:
    points, generator = cloud(50), rng()
    counts = np.zeros(50)
    for _ in range(2000):
        picked = random(points, 10, generator)
        assert len(set(picked.tolist())) == 10
        counts[picked] += 1
    assert np.abs(counts - 400).max() < 5 * np.sqrt(2000 * 0.2 * 0.8)


def test_every_sampling_has_a_sampler() -> None:
    assert set(SAMPLERS) == set(Sampling)
