"""The library Open3D as the reader of point clouds and meshes, for those who want to see the same as their tools do.

It trusts its files: indices out of range crash it, and counts that are too large have it return memory that nobody has
written. So a file is first read, and thereby checked, by our own readers, and only then given to it.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocessors.base import Array
from preprocessors.clouds.cloud import NORMALS, Cloud
from preprocessors.clouds.cloud_reader import read_cloud

# OBJ is left out: Open3D goes on to open the material and texture files whose paths it names
CLOUDS = ("ply", "pcd", "xyz", "pts")
MESHES = ("ply", "off", "stl")


NEIGHBORS = 30  # that a plane is laid through


def read_with_open3d(payload: bytes, max_points: int) -> tuple[str, Cloud]:
    """Like read_cloud, which also serves the formats that are not Open3D's, the files that it cannot read, and the
    attributes.
    """
    name, cloud = read_cloud(payload, max_points)
    if name not in (MESHES if len(cloud.faces) else CLOUDS):
        return name, cloud
    open3d = import_module("open3d")
    with TemporaryDirectory() as folder:  # files are all that Open3D reads, and it goes by their suffix
        path = Path(folder) / f"cloud.{name}"
        path.write_bytes(payload)
        with open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error):
            return name, (_mesh if len(cloud.faces) else _points)(open3d.io, str(path), cloud)


def estimated_normals(points: NDArray[np.float64]) -> Mapping[str, Array]:
    """(N,) columns nx, ny and nz of unit normals, NaN where a point is. Open3D lays a plane through what is around each
    point; its normals point either way, and here away from the middle of the cloud.
    """
    open3d = import_module("open3d")
    usable = np.isfinite(points).all(axis=1)
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points[usable]))
    cloud.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(NEIGHBORS))
    normals = np.array(cloud.normals).reshape(-1, 3)
    inwards = np.einsum("ij,ij->i", normals, points[usable] - points[usable].mean(axis=0)) < 0
    normals[inwards] *= -1
    columns = np.full(points.shape, np.nan)
    columns[usable] = normals
    return dict(zip(NORMALS, columns.T, strict=True))


def _points(library: Any, path: str, cloud: Cloud) -> Cloud:
    found = library.read_point_cloud(path, remove_nan_points=False, remove_infinite_points=False)
    points = np.array(found.points)
    # Of a file that it cannot read Open3D gives an empty cloud, and no word
    return replace(cloud, points=points) if len(points) == len(cloud.points) else cloud


def _mesh(library: Any, path: str, cloud: Cloud) -> Cloud:
    """Vertices of equal coordinates may have become one, which leaves their attributes without a place."""
    found = library.read_triangle_mesh(path)
    points, faces = np.array(found.vertices), np.array(found.triangles, np.int64)
    if len(faces) != len(cloud.faces):
        return cloud
    return Cloud(points, cloud.attributes if len(points) == len(cloud.points) else {}, faces)
