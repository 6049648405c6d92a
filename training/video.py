"""Training video classifiers: clips in class folders, their frames laid out as the tiles of one picture."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from preprocessors.base import Array
from preprocessors.video import VideoPreprocessor
from training.classification import ClassificationTask
from training.clips import ClipAugment, random_clip, read_frames
from training.example_reader import read_example
from training.recipe import Recipe
from training.setting import setting
from training.splits import Splits
from training.training_data import TrainingData
from training.training_dataset import TrainingDataset


@dataclass(frozen=True)
class VideoClassification(ClassificationTask):
    """A clip is neither mirrored nor reversed: what moves left is not what moves right."""

    name: ClassVar[str] = "classify/video"
    noun: ClassVar[str] = "video classifier"
    preprocessor_type = VideoPreprocessor
    suffixes: ClassVar[Sequence[str]] = (".mp4", ".webm", ".mkv", ".mov", ".avi", ".gif", ".ts")

    rows: int = setting(4, "Rows of the frame grid")
    columns: int = setting(4, "Columns of the frame grid; a clip has rows x columns frames")
    stride: int = setting(4, "Frame sampling interval")
    size: int = setting(224, "Size of a frame in the grid, in pixels")
    layout: str = setting("grid", "grid (the paper) or reshape (the authors' code)")
    smallest_crop: float = setting(0.6, "Minimum area of a random crop, as a fraction")
    light: float = setting(0.3, "Maximum relative change of contrast, brightness and colours")
    noise: float = setting(0.03, "Maximum standard deviation of the pixel noise")

    def training_data(self, splits: Splits, recipe: Recipe) -> TrainingData:
        from training.augment import BatchAugment

        preprocessor = VideoPreprocessor(
            frames=self.rows * self.columns,
            stride=self.stride,
            size=self.size,
            grid=(self.rows, self.columns),
            layout=self.layout,
        )
        videos = [read_example(e, lambda b: read_frames(b, preprocessor)) for e in splits.train]
        augment = ClipAugment(self.smallest_crop, self.light, self.noise)

        def draw(frames: Array, rng: random.Random, epoch: int) -> Tensor:
            return random_clip(frames, rng, preprocessor, augment)

        def per_sample(clips: Tensor) -> Tensor:
            return preprocessor.laid_out(clips.permute(0, 4, 1, 2, 3))

        return TrainingData(
            preprocessor=preprocessor,
            dataset=TrainingDataset(videos, splits.targets(splits.train), recipe.seed, draw),
            augment=BatchAugment(self, len(splits.labels), per_sample),
            normalise=preprocessor.normalise,
        )
