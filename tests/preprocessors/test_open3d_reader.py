"""Our readers see what the library Open3D sees; and Open3D is only shown what they have accepted."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from preprocessors.base import PayloadError, UndecodableInput
from preprocessors.clouds import open3d_reader
from preprocessors.clouds.cloud import Cloud
from preprocessors.clouds.cloud_reader import read_cloud
from preprocessors.clouds.open3d_reader import read_with_open3d
from preprocessors.pointcloud import PointCloudOptions, PointCloudPreprocessor
from tests.clouds import (
    CUBE,
    PCD_BODIES,
    PLY_ORDERS,
    QUADS,
    TRIANGLES,
    Values,
    binary_stl,
    cloud,
    npy,
    obj,
    off,
    pcd,
    ply,
    rows,
    text_stl,
)
from tests.conftest import SharedPath

MAX_POINTS = 2_000_000
POINTS = cloud(300)
CLOUDS = {
    **{f"{name}.ply": ply(POINTS, name) for name in ("ascii", *PLY_ORDERS)},
    **{f"{name}, others.ply": ply(POINTS, name, before=True) for name in ("ascii", *PLY_ORDERS)},
    **{f"{name}.pcd": pcd(POINTS, name) for name in PCD_BODIES},
    "table.xyz": rows(POINTS * np.pi).encode(),
    "table.pts": b"300\n" + rows(POINTS * np.pi).encode(),
}
MESHES = {
    **{f"{name}.ply": ply(CUBE, name, faces=TRIANGLES) for name in ("ascii", *PLY_ORDERS)},
    **{f"{name}, quads.ply": ply(CUBE, name, faces=QUADS) for name in ("ascii", *PLY_ORDERS)},
    "triangles.off": off(CUBE),
    "quads.off": off(CUBE, QUADS),
    "binary.stl": binary_stl(CUBE),
    "text.stl": text_stl(CUBE),
}


@pytest.fixture(scope="module")
def library() -> Any:
    return pytest.importorskip("open3d", reason="the extra open3d is not installed", exc_type=ImportError)


def written(folder: Path, name: str, payload: bytes) -> str:
    path = folder / name
    path.write_bytes(payload)
    return str(path)


def triangles(points: Values, faces: NDArray[np.int64]) -> NDArray[np.float32]:
    """(F, 9) by their coordinates, since readers may join vertices, or order them in another way."""
    return points[faces].reshape(-1, 9).astype(np.float32)


@pytest.mark.parametrize("name", CLOUDS)
def test_clouds_are_equal_to_the_last_bit(name: str, library: Any, tmp_path: Path) -> None:
    theirs = np.asarray(library.io.read_point_cloud(written(tmp_path, name, CLOUDS[name])).points)
    for read in (read_cloud, read_with_open3d):
        np.testing.assert_array_equal(read(CLOUDS[name], MAX_POINTS)[1].points, theirs)


@pytest.mark.parametrize("name", [*MESHES, "triangles.obj"])
def test_meshes_are_of_the_same_triangles(name: str, library: Any, tmp_path: Path) -> None:
    payload = {**MESHES, "triangles.obj": obj(CUBE)}[name]
    mesh = library.io.read_triangle_mesh(written(tmp_path, name, payload))
    theirs = triangles(np.asarray(mesh.vertices), np.asarray(mesh.triangles))
    assert len(theirs) == len(TRIANGLES)
    for read in (read_cloud, read_with_open3d):
        _, ours = read(payload, MAX_POINTS)
        np.testing.assert_array_equal(triangles(ours.points, ours.faces), theirs)


def test_files_of_other_programs_are_read_alike(library: Any, shared_path: Callable[[str], Path]) -> None:
    silent = {"missingheader.pcd", "utm17_comma.pcd", "utm17_tab.pcd"}  # of which Open3D reads nothing
    seen = 0
    folders = [shared_path("data/pointcloud/formats"), shared_path("data/pointcloud/hostile")]
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if path.suffix not in (".ply", ".pcd", ".xyz", ".pts") or path.name in silent:
            continue
        try:
            name, ours = read_cloud(path.read_bytes(), MAX_POINTS)
        except Exception:  # what is refused is for other tests
            continue
        if len(ours.faces) or name == "csv":
            continue
        theirs = library.io.read_point_cloud(str(path), remove_nan_points=False, remove_infinite_points=False)
        np.testing.assert_array_equal(ours.points, np.asarray(theirs.points), err_msg=path.name)
        seen += 1
    assert seen > 20


def test_meshes_of_modelnet_are_read_alike(library: Any, shared_path: Callable[[str], Path]) -> None:
    for path in sorted(shared_path("data/pointcloud/modelnet10/test_off").rglob("*.off")):
        _, ours = read_cloud(path.read_bytes(), MAX_POINTS)
        theirs = library.io.read_triangle_mesh(str(path))
        np.testing.assert_array_equal(ours.faces, np.asarray(theirs.triangles), err_msg=path.name)
        # Open3D reads the coordinates of OFF files in single precision
        np.testing.assert_array_equal(ours.points.astype(np.float32), np.asarray(theirs.vertices), err_msg=path.name)


def test_attributes_come_along(library: Any) -> None:
    intensity = np.arange(300, dtype=np.float32)
    payload = ply(POINTS, "binary_little_endian", {"intensity": intensity})
    theirs, ours = (
        PointCloudPreprocessor(points=300, attributes=("intensity",), decoder=decoder)
        for decoder in ("open3d", "numpy")
    )
    np.testing.assert_array_equal(
        theirs.decode(payload, PointCloudOptions()).array, ours.decode(payload, PointCloudOptions()).array
    )


def test_what_open3d_cannot_read_is_read_without_it(library: Any, tmp_path: Path) -> None:
    capitals = pcd(POINTS).replace(b"FIELDS x y z", b"FIELDS X Y Z")
    assert not library.io.read_point_cloud(written(tmp_path, "capitals.pcd", capitals)).has_points()
    ours, theirs = (read(capitals, MAX_POINTS)[1].points for read in (read_cloud, read_with_open3d))
    np.testing.assert_array_equal(ours, theirs)


def test_every_file_that_our_readers_accept_is_accepted_with_open3d(library: Any, shared_path: SharedPath) -> None:
    for path in sorted(shared_path("data/pointcloud/formats").rglob("*")):
        if path.is_file():
            assert outcome(read_with_open3d, path) == outcome(read_cloud, path), path.name


def outcome(read: Callable[[bytes, int], tuple[str, Cloud]], path: Path) -> tuple[str, int]:
    try:
        name, found = read(path.read_bytes(), MAX_POINTS)
    except PayloadError as error:
        return str(error), 0
    return name, len(found.faces) or len(found.points)


def test_normals_that_a_model_needs_are_estimated_where_a_file_has_none(library: Any) -> None:
    directions = np.random.default_rng(0).normal(size=(500, 3))
    ball = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    wanting = PointCloudPreprocessor(points=500, attributes=("nx", "ny", "nz"), decoder="open3d")
    seen = wanting.decode(npy(ball), PointCloudOptions()).array
    outwards = seen[:, :3] / np.linalg.norm(seen[:, :3], axis=1, keepdims=True)
    assert (np.einsum("ij,ij->i", outwards, seen[:, 3:]) > 0.9).all()
    given = ply(ball, attributes={"nx": ball[:, 0], "ny": ball[:, 1], "nz": -ball[:, 2]})
    np.testing.assert_allclose(wanting.decode(given, PointCloudOptions()).array[:, 5], -ball[:, 2], atol=1e-6)


def test_normals_of_points_that_are_not_finite_harm_no_others(library: Any) -> None:
    points = cloud(100)
    points[3] = np.nan
    wanting = PointCloudPreprocessor(points=100, attributes=("nx", "ny", "nz"), decoder="open3d")
    found = wanting.decode(npy(points), PointCloudOptions())
    assert (found.description["points"], found.description["dropped"]) == (100, 1)
    np.testing.assert_allclose(np.linalg.norm(found.array[:, 3:], axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "payload", [off(CUBE, [(0, 1, 99_999_999)]), off(CUBE, [(0, 1, -7)]), ply(POINTS).replace(b"x 300", b"x 1000"),
                b"1000\n" + rows(POINTS).encode(), pcd(POINTS, "binary")[:-5]],
)  # fmt: skip
def test_files_that_would_crash_open3d_never_reach_it(payload: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open3d_reader, "import_module", lambda name: pytest.fail(f"{name} was asked for"))
    with pytest.raises(UndecodableInput):
        read_with_open3d(payload, MAX_POINTS)


@pytest.mark.parametrize("payload", [npy(POINTS), obj(CUBE), b"x,y,z\n" + rows(POINTS, ",").encode()])
def test_other_formats_are_read_without_it(payload: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open3d_reader, "import_module", lambda name: pytest.fail(f"{name} was asked for"))
    ours, theirs = read_cloud(payload, MAX_POINTS), read_with_open3d(payload, MAX_POINTS)
    assert ours[0] == theirs[0]
    np.testing.assert_array_equal(ours[1].points, theirs[1].points)


def test_no_file_stays_behind(library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for payload in (*CLOUDS.values(), *MESHES.values()):
        read_with_open3d(payload, MAX_POINTS)
    assert os.listdir(tmp_path) == []
