"""Teaching videos: clips in class folders, their frames laid out as the tiles of one picture."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from preprocessors.base import Array
from preprocessors.video import VideoPreprocessor
from training.classification import ClassificationSubject
from training.clips import ClipChange, random_clip, read_frames
from training.data import Splits
from training.lesson import Material
from training.recipe import Recipe
from training.samples import TrainingSamples, usable
from training.setting import setting


@dataclass(frozen=True)
class VideoSubject(ClassificationSubject):
    """A clip is neither mirrored nor reversed: what moves left must not be taught as moving right."""

    task: ClassVar[str] = "classify/video"
    noun: ClassVar[str] = "video classifier"
    suffixes: ClassVar[Sequence[str]] = (".mp4", ".webm", ".mkv", ".mov", ".avi", ".gif", ".ts")

    rows: int = setting(4, "Rows of the frame grid")
    columns: int = setting(4, "Columns of the frame grid; a clip has rows x columns frames")
    stride: int = setting(4, "Frame sampling interval")
    size: int = setting(224, "Size of a frame in the grid, in pixels")
    layout: str = setting("grid", "grid (the paper) or reshape (the authors' code)")
    smallest_crop: float = setting(0.6, "Minimum area of a random crop, as a fraction")
    light: float = setting(0.3, "Maximum relative change of contrast, brightness and colours")
    noise: float = setting(0.03, "Maximum standard deviation of the pixel noise")

    def material(self, splits: Splits, recipe: Recipe) -> Material:
        from training.augment import BatchAugment

        preprocessor = VideoPreprocessor(
            frames=self.rows * self.columns,
            stride=self.stride,
            size=self.size,
            grid=(self.rows, self.columns),
            layout=self.layout,
        )
        videos = [usable(e, lambda b: read_frames(b, preprocessor)) for e in splits.train]
        change = ClipChange(self.smallest_crop, self.light, self.noise)

        def draw(frames: Array, rng: random.Random, epoch: int) -> Tensor:
            return random_clip(frames, rng, preprocessor, change)

        def alter(clips: Tensor) -> Tensor:
            return preprocessor.laid_out(clips.permute(0, 4, 1, 2, 3))

        return Material(
            preprocessor=preprocessor,
            training=TrainingSamples(videos, splits.targets(splits.train), recipe.seed, draw),
            augment=BatchAugment(self, len(splits.labels), alter),
            normalise=preprocessor.normalise,
        )
