"""Points on the surface of a mesh."""

import numpy as np
import pytest

from preprocessors.clouds.surface import sample_surface
from tests.clouds import CUBE, TRIANGLES

FACES = np.array(TRIANGLES)
COUNT = 20_000


def test_every_part_of_the_surface_gets_points_by_its_area() -> None:
    box = CUBE * [1, 2, 5]  # the sides have areas of 10, 5 and 2, twice each
    points = sample_surface(box, FACES, COUNT, np.random.default_rng(0))
    assert points.shape == (COUNT, 3)
    for axis, area in ((0, 10), (1, 5), (2, 2)):
        for side in (0, box[:, axis].max()):
            share = area / 34
            found = np.isclose(points[:, axis], side, rtol=0, atol=1e-12).mean()
            assert abs(found - share) < 5 * np.sqrt(share * (1 - share) / COUNT)


def test_points_are_spread_evenly_over_a_triangle() -> None:
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    x, y, _ = sample_surface(corners, np.array([[0, 1, 2]]), COUNT, np.random.default_rng(0)).T
    assert min(x.min(), y.min(), (1 - x - y).min()) >= 0
    quarters = [x > 0.5, y > 0.5, x + y < 0.5, (x <= 0.5) & (y <= 0.5) & (x + y >= 0.5)]  # all of the same area
    for quarter in quarters:
        assert abs(quarter.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / COUNT)


def test_further_values_are_interpolated_between_the_corners() -> None:
    vertices = np.column_stack([CUBE, CUBE @ [1, 10, 100]])
    points = sample_surface(vertices, FACES, 500, np.random.default_rng(0))
    np.testing.assert_allclose(points[:, 3], points[:, :3] @ [1, 10, 100], atol=1e-9)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_unit_does_not_matter(scale: float) -> None:
    expected = sample_surface(CUBE, FACES, 50, np.random.default_rng(0)) * scale
    np.testing.assert_allclose(sample_surface(CUBE * scale, FACES, 50, np.random.default_rng(0)), expected, rtol=1e-9)


def test_faces_without_area_get_no_points() -> None:
    faces = np.array([[0, 0, 1], [0, 1, 3], [2, 2, 2]])
    points = sample_surface(CUBE, faces, 500, np.random.default_rng(0))
    assert (points[:, 0] == 0).all()
    assert len(np.unique(points, axis=0)) == 500


def test_a_mesh_without_any_area_is_a_cloud_of_its_vertices() -> None:
    np.testing.assert_array_equal(sample_surface(CUBE, np.array([[0, 1, 1]]), 50, np.random.default_rng(0)), CUBE)
