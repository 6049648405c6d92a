"""The learned projection against the authors' numbers, and what must hold of it whatever its weights."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.embeddings.neighborhood import NeighborhoodFeatures
from models.embeddings.projection import FOUR_VIEWS, ThreeViewProjection, grid_cells
from tests.conftest import SharedPath
from tests.oracle import Case, relative_error, uniform

TOLERANCE = 2e-6
RENAMED = {
    "input_trans": "features.point",
    "graph_layer.0": "features.edge",
    "graph_layer.1": "features.norm",
    "proj_layer": "features.out",
    "img_block.0.conv1": "refine.conv1",
    "img_block.0.bn1": "refine.norm1",
    "img_block.0.conv2": "refine.conv2",
    "img_block.0.bn2": "refine.norm2",
    "img_block.1": "refine.out",
    "fusion.conv1": "fuse_views.patches",
    "fusion.transformer.layers.0.0.norm": "fuse_views.attention_norm",
    "fusion.transformer.layers.0.0.fn.to_qkv": "fuse_views.attention.qkv",
    "fusion.transformer.layers.0.0.fn.to_out.0": "fuse_views.attention.out",
    "fusion.transformer.layers.0.1.norm": "fuse_views.mlp_norm",
    "fusion.transformer.layers.0.1.fn.net.0": "fuse_views.mlp.0",
    "fusion.transformer.layers.0.1.fn.net.3": "fuse_views.mlp.2",
    "fusion.conv2.0": "fuse_views.spread",
    "fusion.conv3.0": "fuse_views.merge",
    "img_layer": "to_rgb",
}


@pytest.fixture(scope="module")
def case(shared_path: SharedPath) -> Case:
    return Case.read(shared_path("oracle/point_56.json"))


def authors_cloud() -> Tensor:
    """The oracle's rule for its two clouds."""
    points = (2 * uniform("points/point_56", (2, 160, 3)) - 1) * (1, 0.7, 0.4)
    points -= points.mean(axis=1, keepdims=True)
    points /= np.linalg.norm(points, axis=2).max(axis=1)[:, None, None]
    return torch.from_numpy(points.astype(np.float32))


def authors_projection(case: Case) -> ThreeViewProjection:
    projection = ThreeViewProjection(56, FOUR_VIEWS, neighbors=8, rotation=(0.1 * math.pi, -0.35 * math.pi))
    expected = projection.state_dict()
    weights = {}
    for key, value in case.weights().items():
        stem, _, leaf = key.rpartition(".")
        ours = f"{RENAMED[stem]}.{leaf}"
        weights[ours] = value.reshape(expected[ours].shape)
    projection.load_state_dict(weights)
    return projection.eval()


def test_views_rasters_and_images_are_the_authors(case: Case) -> None:
    projection, points, stored = authors_projection(case), authors_cloud(), case.stored
    with torch.inference_mode():
        turned = projection.turned(points)
        grids = projection.rasterize(torch.from_numpy(stored["rotated"]), projection.features(points))
        images = projection(points)
    assert relative_error(turned[..., :2], stored["rotated"][..., :2]) <= TOLERANCE
    assert np.array_equal((grids != 0).any(dim=1).numpy(), stored["raster_occupancy"] > 0)
    assert relative_error(grids.mean(dim=(2, 3)), stored["raster_mean_c"]) <= TOLERANCE
    assert relative_error(grids[:, ::16, ::2, ::2], stored["raster_sample"]) <= TOLERANCE
    assert relative_error(images.mean(dim=(2, 3)), stored["image_mean"]) <= TOLERANCE
    assert relative_error(images[:, :, ::2, ::2], stored["image_sample"]) <= TOLERANCE


def cloud(count: int = 50, batch: int = 2, attributes: int = 0, seed: int = 0) -> Tensor:
    points = torch.randn(batch, count, 3 + attributes, generator=torch.Generator().manual_seed(seed))
    return points / points[..., :3].norm(dim=2, keepdim=True).amax(dim=1, keepdim=True)


def tiny(size: int = 28, **options: Any) -> ThreeViewProjection:
    torch.manual_seed(0)
    return ThreeViewProjection(size, width=8, fusion_width=16, heads=2, head_width=8, **options).eval()


def test_features_compare_each_point_with_its_nearest_one_pair_at_a_time() -> None:
    module = NeighborhoodFeatures(3, 4, 8)
    torch.nn.init.normal_(module.norm.weight)
    points = cloud(20, 1)
    features = module.point(points)[0]
    near = [sorted(range(20), key=lambda j: float((points[0, i] - points[0, j]).square().sum()))[:4] for i in range(20)]
    pairs = [[torch.cat([features[j] - features[i], features[i]]) for j in near[i]] for i in range(20)]
    edges = module.edge(torch.stack([torch.stack(row) for row in pairs])).permute(2, 0, 1)[None]
    expected = module.out(torch.nn.functional.leaky_relu(module.norm(edges), 0.2).amax(dim=3)[0].T)
    assert torch.allclose(module(points)[0], expected, atol=1e-5)


def test_a_grid_holds_the_sum_of_the_features_around_every_cell() -> None:
    projection, points = tiny(), cloud(50, 2)
    features = torch.randn(2, 50, 8)
    turned = projection.turned(points)
    expected = torch.zeros(6, 8, 28, 28)
    cells = grid_cells(turned[..., :2], 28)
    for image in range(6):
        for point in range(50):
            row, column = divmod(int(cells[image, point]), 28)
            expected[image, :, row - 1 : row + 2, column - 1 : column + 2] += features[image // 3, point, :, None, None]
    assert torch.allclose(projection.rasterize(turned, features), expected, atol=1e-5)


@pytest.mark.parametrize("size", [28, 33, 224])
def test_every_point_and_its_border_is_inside_the_grid_and_the_longer_side_fills_it(size: int) -> None:
    cells = grid_cells(cloud(500, 3)[..., :2] * torch.tensor([1.0, 0.2]), size)
    rows, columns = cells // size, cells % size
    for axis in (rows, columns):
        assert axis.min() >= 1
        assert axis.max() <= size - 2
    assert (rows.amax(dim=1) - rows.amin(dim=1)).min() >= size - 4
    middle = (columns.amax(dim=1) + columns.amin(dim=1)) / 2
    assert (middle - size / 2).abs().max() <= 1.5


def test_three_views_look_along_three_axes() -> None:
    turned = tiny().turned(torch.eye(3)[None])[..., :2].abs().round()
    unseen = [int((view.sum(dim=1) == 0).nonzero()) for view in turned]
    assert sorted(unseen) == [0, 1, 2]


def test_a_network_built_without_storage_turns_clouds_all_the_same() -> None:
    with torch.device("meta"):
        projection = tiny()
    assert torch.equal(projection.turned(cloud()), tiny().turned(cloud()))


def test_the_order_of_the_points_and_the_clouds_beside_them_do_not_matter() -> None:
    projection, points = tiny(), cloud(60, 3)
    shuffled = points[:, torch.randperm(60)]
    with torch.inference_mode():
        images = projection(points)
        assert torch.allclose(projection(shuffled), images, atol=1e-4)
        alone = torch.cat([projection(points[i : i + 1]) for i in range(3)])
    assert torch.allclose(alone, images, atol=1e-5)


def test_a_cloud_gives_the_same_bits_every_time() -> None:
    projection, points = tiny(), cloud(300, 2)
    with torch.inference_mode():
        assert all(torch.equal(projection(points), projection(points)) for _ in range(3))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_bits_every_time_and_the_processors_numbers() -> None:
    projection, points = tiny(), cloud(300, 2)
    with torch.inference_mode():
        expected = projection(points)
        projection, points = projection.cuda(), points.cuda()
        images = projection(points)
        assert all(torch.equal(projection(points), images) for _ in range(3))
    assert torch.allclose(images.cpu(), expected, atol=1e-2)


def test_in_half_precision_points_stay_in_their_cells() -> None:
    projection, points = tiny(), cloud(200, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert projection.turned(points).dtype == torch.float32
    with torch.inference_mode():
        expected = projection(points)
        found = projection.to(torch.bfloat16)(points)
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).abs().max() < 0.05 * expected.abs().max()


def test_attributes_are_seen_by_the_features_alone() -> None:
    projection, points = tiny(attributes=1), cloud(40, 1, attributes=1)
    other = points.clone()
    other[..., 3] += 1
    with torch.inference_mode():
        assert not torch.allclose(projection(points), projection(other))
    assert torch.equal(projection.turned(points[..., :3]), projection.turned(other[..., :3]))


def test_fewer_points_than_neighbours_and_points_at_one_place_are_no_error() -> None:
    projection = tiny()
    with torch.inference_mode():
        assert projection(cloud(5, 1)).isfinite().all()
        assert projection(torch.zeros(1, 10, 3)).isfinite().all()


def test_gradients_reach_every_weight() -> None:
    projection = tiny().train()
    projection(cloud(60, 2)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in projection.parameters() if p.ndim > 1)


def test_the_width_defaults_to_the_authors_network() -> None:
    assert sum(parameter.numel() for parameter in ThreeViewProjection(angles=FOUR_VIEWS).parameters()) == 1_157_987
