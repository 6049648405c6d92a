"""From a file of points or triangles to what the model sees."""

import json
import pickle
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import preprocessors.pointcloud
from preprocessors.base import UndecodableInput
from preprocessors.clouds.cloud_reader import read_cloud
from preprocessors.clouds.thinning import Sampling
from preprocessors.pointcloud import Decoder, PointCloudOptions, PointCloudPreprocessor
from tests.clouds import CUBE, cloud, npy, npz, off, ply

REPOSITORY = Path(__file__).resolve().parents[2]
INTENSITY = np.arange(300, dtype=np.float32)


def view(payload: bytes, chosen: Sampling | None = None, **fields: Any) -> NDArray[np.float32]:
    sample = PointCloudPreprocessor(**fields).decode(payload, PointCloudOptions(chosen))
    assert len(sample.views) == 1
    return np.asarray(sample.array)


def unit(points: NDArray[np.float64]) -> NDArray[np.float32]:
    centred = points - np.mean(points, axis=0)
    return (centred / max(np.linalg.norm(centred, axis=1))).astype(np.float32)


def spread(points: NDArray[np.float32]) -> float:
    """The smallest distance between two of them."""
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    return float(distances[~np.eye(len(points), dtype=bool)].min())


def test_points_are_centred_on_their_mean_and_scaled_into_the_unit_sphere() -> None:
    points = cloud(300) * 1000 + 5e6
    seen = view(npy(points), points=300)
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen, unit(points), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1).max(), 1, atol=1e-6)


def test_smaller_clouds_are_repeated_in_turn() -> None:
    points = cloud(7)
    np.testing.assert_allclose(view(npy(points), points=17), np.resize(unit(points), (17, 3)), atol=1e-6)


@pytest.mark.parametrize("sampling", Sampling)
def test_larger_clouds_are_thinned_to_some_of_their_points_and_never_twice_the_same(sampling: Sampling) -> None:
    points = cloud(2000)
    seen = view(npy(points), sampling, points=100)
    known = {row.tobytes() for row in view(npy(points), points=2000)}
    picked = {row.tobytes() for row in seen}
    assert len(picked) == 100
    assert picked <= known


def test_farthest_points_are_spread_wider_than_random_ones() -> None:
    payload = npy(cloud(2000))
    farthest, random = (view(payload, sampling, points=100) for sampling in (Sampling.FARTHEST, Sampling.RANDOM))
    assert spread(farthest) > 3 * spread(random)


def test_the_request_may_choose_the_sampling_that_the_model_was_not_trained_with() -> None:
    payload = npy(cloud(2000))
    default = view(payload, points=100, sampling="random")
    np.testing.assert_array_equal(default, view(payload, Sampling.RANDOM, points=100))
    chosen = view(payload, Sampling.FARTHEST, points=100, sampling="random")
    np.testing.assert_array_equal(chosen, view(payload, points=100))


@pytest.mark.parametrize("sampling", Sampling)
@pytest.mark.parametrize("payload", [npy(cloud(2000)), off(CUBE)], ids=["cloud", "mesh"])
def test_equal_bytes_give_equal_points(payload: bytes, sampling: Sampling) -> None:
    np.testing.assert_array_equal(view(payload, sampling), view(bytes(payload), sampling))


def test_what_is_sampled_at_random_depends_on_the_content() -> None:
    first, second = off(CUBE), off(CUBE) + b"# another file\n"
    assert not np.array_equal(view(first), view(second))


def test_axes_reorder_and_flip_what_the_model_sees_and_leave_attributes() -> None:
    points = cloud(300)
    payload = ply(points, attributes={"intensity": INTENSITY})
    seen = view(payload, points=300, axes=["-z", "-x", "y"], attributes=["intensity"])
    x, y, z = unit(points).T
    np.testing.assert_allclose(seen, np.stack([-z, -x, y, INTENSITY], axis=1), atol=1e-6)


def test_attributes_are_passed_as_they_are_in_the_order_that_the_model_needs() -> None:
    attributes = {"intensity": INTENSITY, "velocity": -2 * INTENSITY}
    seen = view(ply(cloud(300), attributes=attributes), points=300, attributes=("Velocity", "intensity"))
    np.testing.assert_array_equal(seen[:, 3:], np.stack([-2 * INTENSITY, INTENSITY], axis=1))


def test_attributes_stay_with_their_points_when_a_cloud_is_thinned() -> None:
    points = cloud(2000)
    seen = view(npz(points=points, height=points[:, 2]), points=100, attributes=("height",))
    radius = np.linalg.norm(points - points.mean(axis=0), axis=1).max()
    np.testing.assert_allclose(seen[:, 2] * radius + points[:, 2].mean(), seen[:, 3], atol=1e-3)


def test_all_the_attributes_that_a_file_lacks_are_named_at_once() -> None:
    payload = ply(cloud(300), attributes={"intensity": INTENSITY, "red": INTENSITY})
    told = (
        r"needs velocity, time of every point, and the file holds intensity, red beside x, y, z: add velocity, time as"
    )
    with pytest.raises(UndecodableInput, match=told) as refusal:
        view(payload, attributes=("velocity", "intensity", "time"))
    assert refusal.value.code == "missing_attribute"


def test_points_that_are_not_finite_are_dropped_and_counted() -> None:
    points = cloud(300)
    holed = points.copy()
    holed[::3, 1], holed[1::3, 0] = np.nan, [np.inf, *np.zeros(99)]
    preprocessor = PointCloudPreprocessor(points=199)
    sample = preprocessor.decode(npy(holed), PointCloudOptions())
    kept = np.isfinite(holed).all(axis=1)
    assert (sample.description["points"], sample.description["dropped"]) == (300, 101)
    np.testing.assert_allclose(sample.array, unit(holed[kept]), atol=1e-6)


@pytest.mark.parametrize("absurd", [np.nan, np.inf, -1e30])
def test_points_whose_attribute_is_no_sensible_number_are_dropped(absurd: float) -> None:
    values = INTENSITY.copy()
    values[5] = absurd
    payload = npz(points=cloud(300), intensity=values)
    for attributes, dropped in (((), 0), (("intensity",), 1)):
        sample = PointCloudPreprocessor(attributes=attributes).decode(payload, PointCloudOptions())
        assert sample.description["dropped"] == dropped
        assert np.isfinite(sample.array).all()


def test_a_mesh_loses_the_faces_of_its_vertices_that_are_not_finite() -> None:
    points = np.vstack([[np.nan, 0, 0], CUBE])
    faces = [(1, 2, 4), (0, 1, 2)]  # of the second one nothing can be sampled
    sample = PointCloudPreprocessor().decode(ply(points, faces=faces), PointCloudOptions())
    assert np.isfinite(sample.array).all()
    assert np.ptp(sample.array[:, 0]) == 0  # the corners 1, 2 and 4 lie in the plane x = 0
    assert np.ptp(sample.array[:, 1]) > 0.5


def test_a_cloud_that_is_mostly_not_finite_is_refused() -> None:
    points = cloud(300)
    points[:151, 0] = np.nan
    with pytest.raises(UndecodableInput, match="151 of its 300 points are not finite"):
        view(npy(points))
    points[150, 0] = 0
    view(npy(points))


@pytest.mark.parametrize("value", [0.1, 1e6 + 0.1, 1e30])
def test_a_cloud_without_extent_is_refused(value: float) -> None:
    with pytest.raises(UndecodableInput, match="at the same place"):
        view(npy(np.full((77, 3), value)))


def test_a_cloud_without_points_is_refused() -> None:
    with pytest.raises(UndecodableInput, match="holds no points"):
        view(npy(np.empty((0, 3))))


def test_huge_and_tiny_coordinates_neither_overflow_nor_vanish() -> None:
    points = cloud(300)
    for factor in (1e33, 1e-33):
        np.testing.assert_allclose(view(npy(points * factor), points=300), unit(points), atol=1e-6)


def test_description_names_what_was_sent() -> None:
    points = cloud(300)
    payload = ply(points)
    sample = PointCloudPreprocessor(points=100).decode(payload, PointCloudOptions())
    assert sample.description == {
        "format": "ply",
        "points": 300,
        "points_used": 100,
        "dropped": 0,
        "bounds": [points.min(axis=0).tolist(), points.max(axis=0).tolist()],
        "bytes": len(payload),
    }
    assert PointCloudPreprocessor(points=400).decode(payload, PointCloudOptions()).description["points_used"] == 300
    mesh = PointCloudPreprocessor().decode(off(CUBE), PointCloudOptions()).description
    assert (mesh["format"], mesh["points"], mesh["faces"], mesh["points_used"]) == ("off", 8, 12, 1024)
    assert mesh["bounds"] == [[0, 0, 0], [1, 1, 1]]
    json.dumps([sample.description, mesh])


@pytest.mark.parametrize("attributes", [(), ("intensity",)])
def test_blank_has_the_shape_of_a_decoded_cloud_and_lies_in_the_unit_sphere(attributes: tuple[str, ...]) -> None:
    preprocessor = PointCloudPreprocessor(points=64, attributes=attributes)
    decoded = view(ply(cloud(300), attributes={"intensity": INTENSITY}), points=64, attributes=attributes)
    blank = preprocessor.blank()
    assert (blank.shape, blank.dtype) == (decoded.shape, decoded.dtype)
    assert np.linalg.norm(blank[:, :3], axis=1).max() <= 1
    np.testing.assert_array_equal(blank, preprocessor.blank())


def test_the_model_is_given_the_views_as_they_are() -> None:
    preprocessor = PointCloudPreprocessor(points=50)
    views = [view(npy(cloud(300, seed)), points=50) for seed in (1, 2)]
    x = preprocessor.transform(preprocessor.collate(views))
    assert str(x.dtype) == "torch.float32"
    np.testing.assert_array_equal(x.numpy(), np.stack(views))


def test_a_preprocessor_survives_the_way_through_a_checkpoint() -> None:
    preprocessor = PointCloudPreprocessor(axes=("-z", "-x", "y"), attributes=("velocity",), sampling=Sampling.RANDOM)
    assert PointCloudPreprocessor(**json.loads(json.dumps(asdict(preprocessor)))) == preprocessor


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"axes": ("x", "y")}, "axes is"), ({"axes": ("x", "x", "-z")}, "axes is"),
     ({"axes": ("--x", "y", "z")}, "axes is"), ({"sampling": "best"}, "best"), ({"points": 0}, "points is 0"),
     ({"decoder": "pcl"}, "one of numpy, open3d")],
)  # fmt: skip
def test_fields_that_cannot_be_are_refused_with_what_is_expected(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PointCloudPreprocessor(**fields)


def test_a_decoder_that_is_not_installed_is_refused_with_the_name_of_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    decoders = {"numpy": Decoder(read_cloud), "other": Decoder(read_cloud, "no_such_package")}
    monkeypatch.setattr(preprocessors.pointcloud, "DECODERS", decoders)
    with pytest.raises(ValueError, match=r"extra \[no_such_package\]"):
        PointCloudPreprocessor(decoder="other")


def test_decoding_needs_no_torch(tmp_path: Path) -> None:
    work = tmp_path / "work.pickle"
    work.write_bytes(pickle.dumps((PointCloudPreprocessor(points=32), off(CUBE), PointCloudOptions())))
    script = (
        "import pickle, sys; preprocessor, *work = pickle.load(open(sys.argv[1], 'rb'));"
        "sample = preprocessor.decode(*work); sys.exit('torch' in sys.modules or sample.array.shape != (32, 3))"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, work], cwd=REPOSITORY, check=True, timeout=100)


def test_options_are_described() -> None:
    option = PointCloudOptions.__dataclass_fields__["sampling"]
    assert all(name in option.metadata["description"] for name in Sampling)
