"""Point clouds and meshes: file -> (points, 3 + attributes) float32, centred and scaled into the unit sphere.

As the authors prepare ModelNet (Point/dataset/modelnet.py): minus the centroid, divided by the largest norm, farthest
point sampling.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from preprocessors.base import Array, Preprocessor, Sample, UndecodableInput
from preprocessors.clouds.cloud import NORMALS, Cloud, damaged
from preprocessors.clouds.cloud_reader import read_cloud
from preprocessors.clouds.open3d_reader import estimated_normals, read_with_open3d
from preprocessors.clouds.surface import sample_surface
from preprocessors.clouds.thinning import SAMPLERS, Sampling

if TYPE_CHECKING:
    from torch import Tensor

SURFACE_POINTS = 8192  # of a mesh, to pick the model's points from; as many as the authors' ModelNet files hold
OVERSAMPLING = 2
MOST_DROPPED = 0.5
MOST_NAMES = 200  # characters of them in a message
LARGEST = float(np.finfo(np.float32).max)
LARGEST_ATTRIBUTE = 1e6  # in any unit; positions are normalised, but from attributes like these no network computes
AXES = {sign + axis: (index, factor) for index, axis in enumerate("xyz") for sign, factor in (("", 1), ("-", -1))}

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Decoder:
    """read: returns the format's name and the cloud. package: what must be installed, also the name of the extra.
    normals: makes them of the points, where a model needs them and a file has none.
    """

    read: Callable[[bytes, int], tuple[str, Cloud]]
    package: str = "numpy"
    normals: Callable[[Values], Mapping[str, Array]] | None = None


DECODERS = {"numpy": Decoder(read_cloud), "open3d": Decoder(read_with_open3d, "open3d", estimated_normals)}


@dataclass(frozen=True)
class PointCloudOptions:
    """What a request may ask of the decoding."""

    sampling: Sampling | None = field(
        default=None, metadata={"description": "farthest | random; by default as the model was trained"}
    )


@dataclass(frozen=True)
class PointCloudPreprocessor(Preprocessor[PointCloudOptions]):
    """points: how many the model sees. sampling: how they are picked from larger clouds. axes: what the model sees as
    x, y and z, such as ("-z", "-x", "y"), the authors' order for ModelNet. attributes: further values of each point
    that the model needs, by name. max_points: most points that are read from a file; meshes may have twice as many
    faces. decoder: what reads the files, of DECODERS.
    """

    modality: ClassVar[str] = "pointcloud"
    media_types: ClassVar[tuple[str, ...]] = (
        "application/x-ply",
        "application/x-pcd",
        "application/x-npy",
        "application/x-npz",
        "application/octet-stream",
        "model/obj",
        "model/stl",
        "model/off",
        "text/plain",
        "text/csv",
    )
    option_type: ClassVar[type] = PointCloudOptions

    points: int = 1024
    sampling: Sampling = Sampling.FARTHEST
    axes: tuple[str, ...] = ("x", "y", "z")
    attributes: tuple[str, ...] = ()
    max_points: int = 2_000_000
    decoder: str = "numpy"

    def __post_init__(self) -> None:
        for name, value in (("axes", tuple(self.axes)), ("attributes", tuple(self.attributes))):
            object.__setattr__(self, name, value)  # from a checkpoint they come as lists
        object.__setattr__(self, "sampling", Sampling(self.sampling))
        if self.points < 1 or self.max_points < 1:
            raise ValueError(f"points is {self.points}, max_points {self.max_points}, expected at least 1")
        if sorted(axis.removeprefix("-") for axis in self.axes) != ["x", "y", "z"]:
            raise ValueError(f"axes is {self.axes}, expected x, y and z in some order, each with or without a -")
        if self.decoder not in DECODERS:
            raise ValueError(f"decoder is {self.decoder!r}, expected one of {', '.join(DECODERS)}")
        package = DECODERS[self.decoder].package
        if find_spec(package) is None:
            raise ValueError(f"decoder is {self.decoder!r}: install it with the extra [{package}], or choose 'numpy'")

    def decode(self, payload: bytes, options: PointCloudOptions) -> Sample:
        """(points, 3 + attributes) float32, described by what the file holds. Equal bytes give equal points."""
        name, cloud = DECODERS[self.decoder].read(payload, self.max_points)
        values, faces = self._usable(cloud)
        corners = values[:, :3].min(axis=0), values[:, :3].max(axis=0)
        description: dict[str, Any] = {
            "format": name,
            "points": len(cloud.points),
            "dropped": len(cloud.points) - len(values),
            "bounds": [corner.tolist() for corner in corners],
            "bytes": len(payload),
        }
        rng = np.random.default_rng(zlib.crc32(payload))
        if len(cloud.faces):
            description["faces"] = len(cloud.faces)
        if len(faces):
            values = sample_surface(values, faces, max(SURFACE_POINTS, OVERSAMPLING * self.points), rng)
        picked = self.picked(unit_sphere(values), options.sampling or self.sampling, rng)
        description["points_used"] = len(picked)
        return Sample((self.view(picked),), description)

    def picked(self, values: Values, sampling: Sampling, rng: np.random.Generator) -> Values:
        """At most `points` rows of (N, 3 + attributes)."""
        if len(values) <= self.points:
            return values
        return values[SAMPLERS[sampling](values[:, :3], self.points, rng)]

    def view(self, values: Values) -> NDArray[np.float32]:
        """Rows, repeated in turn until there are `points`, with the axes that the model sees; as float32."""
        rows = values[np.resize(np.arange(len(values)), self.points)]
        columns, factors = zip(*(AXES[axis] for axis in self.axes), strict=True)
        rows[:, :3] = rows[:, columns] * factors
        return rows.astype(np.float32)

    def blank(self) -> Array:
        """Points in the unit sphere, always the same ones."""
        return self.view(np.random.default_rng(0).uniform(-0.5, 0.5, (self.points, 3 + len(self.attributes))))

    def example(self) -> bytes:
        """A binary PLY of the blank view."""
        rows = self.blank()
        properties = "".join(f"property float {name}\n" for name in ("x", "y", "z", *self.attributes))
        header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(rows)}\n{properties}end_header\n"
        return header.encode() + rows.astype("<f4").tobytes()

    def transform(self, batch: "Tensor") -> "Tensor":
        """(N, points, 3 + attributes) float32, as it is."""
        return batch.float()

    def _usable(self, cloud: Cloud) -> tuple[Values, NDArray[np.int64]]:
        """(N, 3 + attributes) and (F, 3), of the points whose values are numbers, and no absurd ones."""
        if not len(cloud.points):
            raise damaged("it holds no points")
        values = np.column_stack([cloud.points, *self._attributes(self._completed(cloud))])
        largest = [LARGEST] * 3 + [LARGEST_ATTRIBUTE] * len(self.attributes)
        usable = (np.abs(values) <= largest).all(axis=1)
        dropped = len(values) - int(usable.sum())
        if dropped > MOST_DROPPED * len(values):
            beyond = f", or beyond {LARGEST_ATTRIBUTE:g} in an attribute" if self.attributes else ""
            raise damaged(f"{dropped} of its {len(values)} points are not finite{beyond}")
        faces = cloud.faces[usable[cloud.faces].all(axis=1)]
        return values[usable], (np.cumsum(usable) - 1)[faces]

    def _completed(self, cloud: Cloud) -> Cloud:
        normals, named = DECODERS[self.decoder].normals, {name.lower() for name in cloud.attributes}
        wanted = set(NORMALS) & {name.lower() for name in self.attributes} - named
        if not wanted or normals is None:
            return cloud
        return replace(cloud, attributes={**cloud.attributes, **normals(cloud.points)})

    def _attributes(self, cloud: Cloud) -> list[Array]:
        found = {key.lower(): column for key, column in cloud.attributes.items()}
        missing = [name for name in self.attributes if name.lower() not in found]
        if missing:
            known = ", ".join(cloud.attributes)[:MOST_NAMES] or "nothing"
            wanted = ", ".join(missing)
            detail = (
                f"this model needs {wanted} of every point, and the file holds {known} beside x, y, z: add {wanted} as "
                "named properties (PLY), fields (PCD) or columns (CSV), or name a model that does without"
            )
            raise UndecodableInput("missing_attribute", detail)
        return [found[name.lower()] for name in self.attributes]


def unit_sphere(values: Values) -> Values:
    """(N, 3 or more) with the first three columns centred on their mean, and the largest norm 1; a copy."""
    points = values[:, :3] - values[:, :3].mean(axis=0)
    radius = float(np.sqrt(np.square(points).sum(axis=1).max()))
    # The mean of equal points may differ from them by a rounding error, which must not be blown up to a unit
    if (values[:, :3] == values[0, :3]).all() or radius == 0:
        raise damaged("all its points are at the same place")
    return np.column_stack([points / radius, values[:, 3:]])
