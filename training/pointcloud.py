"""Training point cloud classifiers: files in class folders, projected into views by a learned embedding."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.embeddings.projection import FOUR_VIEWS, THREE_VIEWS, ThreeViewProjection
from preprocessors.base import Array
from preprocessors.pointcloud import PointCloudPreprocessor
from training.classification import ClassificationTask
from training.example_reader import read_example
from training.recipe import Recipe
from training.setting import setting
from training.soft_targets import soft_targets
from training.splits import Splits
from training.training_data import TrainingData
from training.training_dataset import TrainingDataset

KEPT_POINTS = 2  # times as many as the model sees, to draw from
VIEWS = {3: THREE_VIEWS, 4: FOUR_VIEWS}


@dataclass(frozen=True)
class PointCloudClassification(ClassificationTask):
    """Clouds are not mixed: half the points of a chair and half of a sofa are no third thing."""

    name: ClassVar[str] = "classify/pointcloud"
    noun: ClassVar[str] = "pointcloud classifier"
    preprocessor_type = PointCloudPreprocessor
    suffixes: ClassVar[Sequence[str]] = (
        ".ply", ".pcd", ".xyz", ".txt", ".csv", ".pts", ".npy", ".npz", ".off", ".stl", ".obj",
    )  # fmt: skip
    embedding_type: ClassVar[type[nn.Module] | None] = ThreeViewProjection

    points: int = setting(1024, "Points per input")
    sampling: str = setting("farthest", "Point sampling: farthest or random")
    attributes: str = setting("", "Additional point attributes to use, such as intensity,velocity")
    views: int = setting(3, "Number of views: 3 (the paper) or 4 (the authors' code)")
    size: int = setting(224, "Size of each view in pixels")
    view_width: int = setting(64, "Channels of the view refinement", "--view-width")
    fusion_width: int = setting(128, "Channels of the cross-view attention")
    heads: int = setting(8, "Heads of the cross-view attention")
    neighbors: int = setting(32, "Neighbors per point for its local feature")
    turn: float = setting(0.0, "Maximum rotation about the z axis in degrees; 180 for any")
    stretch: float = setting(0.2, "Maximum relative scaling per axis")
    jitter: float = setting(0.01, "Standard deviation of the coordinate noise, in units of the radius")

    @property
    def maps(self) -> int:
        return self.views

    def training_data(self, splits: Splits, recipe: Recipe) -> TrainingData:
        preprocessor = self.preprocessor()
        kept = replace(preprocessor, points=KEPT_POINTS * self.points)
        clouds = [read_example(e, lambda b: kept.decode(b, kept.option_type()).array) for e in splits.train]
        return TrainingData(
            preprocessor=preprocessor,
            dataset=TrainingDataset(clouds, splits.targets(splits.train), recipe.seed, self.draw),
            augment=lambda clouds, targets: (clouds, soft_targets(targets, len(splits.labels))),
            normalise=preprocessor.transform,
            embedding=self.embedding_options(len(preprocessor.attributes)),
        )

    def preprocessor(self) -> PointCloudPreprocessor:
        names = tuple(name.strip() for name in self.attributes.split(",") if name.strip())
        return PointCloudPreprocessor(points=self.points, sampling=self.sampling, attributes=names)  # type: ignore[arg-type]

    def embedding_options(self, attributes: int) -> dict[str, Any]:
        """Raises ValueError for a number of views that has no angles."""
        if self.views not in VIEWS:
            raise ValueError(f"{self.views} views, expected one of {', '.join(map(str, VIEWS))}")
        return {
            "size": self.size,
            "angles": [list(view) for view in VIEWS[self.views]],
            "attributes": attributes,
            "neighbors": self.neighbors,
            "width": self.view_width,
            "fusion_width": self.fusion_width,
            "heads": self.heads,
        }

    def draw(self, cloud: Array, rng: random.Random, epoch: int) -> Tensor:
        """A random half of the points, turned, stretched and shaken."""
        generator = np.random.default_rng(rng.getrandbits(64))
        chosen = generator.choice(len(cloud), self.points, replace=False)
        changed = cloud[chosen].copy()
        changed[:, :3] = self.disturbed(changed[:, :3], generator)
        return torch.from_numpy(changed)

    def disturbed(self, xyz: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        angle = np.radians(rng.uniform(-self.turn, self.turn))
        turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        stretch = rng.uniform(1 - self.stretch, 1 + self.stretch, 3)
        return (xyz @ turn * stretch + rng.normal(0, self.jitter, xyz.shape)).astype(np.float32)
