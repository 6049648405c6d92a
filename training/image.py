"""Training image classifiers: random crops of pictures in class folders."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from preprocessors.image import ImagePreprocessor
from training.classification import ClassificationTask
from training.example_reader import read_example
from training.pictures import KEPT_SCALE, Raster, random_crop, read_picture
from training.recipe import Recipe
from training.setting import setting
from training.splits import Splits
from training.training_data import TrainingData
from training.training_dataset import TrainingDataset

FULL_SIZE_FROM = 0.8  # share of the epochs after which crops have their full size
SIZE_STEP = 8


@dataclass(frozen=True)
class ImageClassification(ClassificationTask):
    """smallest_crop: least share of the picture's area that a random crop keeps. first_size: side of the first epoch's
    crops, which grow to the full size over most of the run; early epochs cost less so.
    """

    name: ClassVar[str] = "classify/image"
    noun: ClassVar[str] = "image classifier"
    preprocessor_type = ImagePreprocessor
    norm_eps: ClassVar[float] = 1e-6
    suffixes: ClassVar[Sequence[str]] = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")

    size: int = setting(224, "Input size in pixels of the served model")
    crop: float = setting(ImagePreprocessor.crop, "Centre crop as a fraction of the short side")
    train_size: int | None = setting(None, "Training crop size in pixels; by default the input size")
    first_size: int = setting(0, "Crop size of the first epoch, growing to train-size; 0 disables")
    smallest_crop: float = setting(0.3, "Minimum area of a random crop, as a fraction")
    flip: bool = setting(True, "Random horizontal flip")
    trivial_augment: bool = setting(True, "TrivialAugment: one random colour or geometric change per image")
    erasing: float = setting(0.1, "Probability of random erasing")

    @property
    def settings(self) -> dict[str, Any]:
        """Size and crop of what is served do not change training: a finished run can be evaluated with others."""
        settings = {**vars(self), "train_size": self.train_size or self.size}
        return {name: value for name, value in settings.items() if name not in ("size", "crop")}

    def training_data(self, splits: Splits, recipe: Recipe) -> TrainingData:
        from training.augment import BatchAugment, picture_augment

        preprocessor = ImagePreprocessor(size=self.size, crop=self.crop)
        full_size = self.train_size or self.size
        short_side, limit = round(KEPT_SCALE * full_size), preprocessor.max_pixels
        images = [read_example(e, lambda b: read_picture(b, short_side, limit)) for e in splits.train]

        def draw(picture: Raster, rng: random.Random, epoch: int) -> Tensor:
            return random_crop(picture, rng, self.crop_size_at(epoch, recipe.epochs), self.smallest_crop)

        per_sample = picture_augment(self.flip, self.trivial_augment, self.erasing)
        return TrainingData(
            preprocessor=preprocessor,
            dataset=TrainingDataset(images, splits.targets(splits.train), recipe.seed, draw),
            augment=BatchAugment(self, len(splits.labels), per_sample),
            normalise=preprocessor.normalise,
        )

    def crop_size_at(self, epoch: int, epochs: int) -> int:
        """Side of the training crops: a line from first_size to the full size, in steps of SIZE_STEP."""
        full_size = self.train_size or self.size
        progress = min(1.0, epoch / (FULL_SIZE_FROM * epochs))
        if self.first_size == 0 or progress == 1.0:
            return full_size
        size = self.first_size + progress * (full_size - self.first_size)
        return round(size / SIZE_STEP) * SIZE_STEP
