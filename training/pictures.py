"""Pictures for training: decoded once, kept small in memory, cropped at random."""

import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from preprocessors.base import PayloadError
from preprocessors.image import ImagePreprocessor, decoder_faults, open_image, to_rgb
from training.data import DatasetError, Example
from training.recipe import Recipe

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
KEPT_SCALE = 1.6  # short side kept in memory, over the training size: enough detail for a tight crop
ASPECTS = (3 / 4, 4 / 3)
CROP_TRIES = 10

Raster = NDArray[np.uint8]


def load_pictures(examples: Sequence[Example], short_side: int, max_pixels: int) -> list[Raster]:
    """Upright RGB rasters (H, W, 3), larger pictures scaled down to this short side."""
    return [_load(example.path, short_side, max_pixels) for example in examples]


def _load(path: Path, short_side: int, max_pixels: int) -> Raster:
    try:
        with decoder_faults():
            image = to_rgb(open_image(path.read_bytes(), max_pixels))
    except PayloadError as error:
        raise DatasetError(f"{path} cannot be used: {error}") from error
    scale = short_side / min(image.size)
    if scale < 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    return np.asarray(image)


class TrainingPictures(Dataset[tuple[Tensor, int]]):
    """Random crops of the pictures, (3, size, size) in [0, 1], with their class.

    The crop is a function of seed, epoch and index, whatever order or process they are drawn in. Set `epoch` first;
    it decides the size as well.
    """

    def __init__(self, pictures: Sequence[Raster], classes: Sequence[int], recipe: Recipe, size: int) -> None:
        self.pictures = pictures
        self.classes = classes
        self.recipe = recipe
        self.full_size = size
        self.epoch = 0

    @property
    def size(self) -> int:
        return self.recipe.crop_size_at(self.epoch, self.full_size)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        rng = random.Random(f"{self.recipe.seed} {self.epoch} {index}")
        image = Image.fromarray(self.pictures[index])
        box = random_crop_box(rng, image.width, image.height, self.recipe.smallest_crop)
        crop = image.resize((self.size, self.size), Image.Resampling.BICUBIC, box=box)
        return torch.from_numpy(np.array(crop)).permute(2, 0, 1).float().div_(255), self.classes[index]


def random_crop_box(rng: random.Random, width: int, height: int, smallest: float) -> tuple[float, float, float, float]:
    """Inception's crop: a share of the area and an aspect ratio, both at random; left, top, right, bottom."""
    for _ in range(CROP_TRIES):
        area = rng.uniform(smallest, 1.0) * width * height
        aspect = math.exp(rng.uniform(*map(math.log, ASPECTS)))
        w, h = math.sqrt(area * aspect), math.sqrt(area / aspect)
        if w <= width and h <= height:
            left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
            return left, top, left + w, top + h
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


class EvaluationPictures(Dataset[tuple[Tensor, int]]):
    """Exactly what the server's preprocessor hands the model, before `transform`: (size, size, 3) uint8."""

    def __init__(self, examples: Sequence[Example], preprocessor: ImagePreprocessor) -> None:
        options = preprocessor.option_type()
        self.rasters = [preprocessor.decode(e.path.read_bytes(), options).array for e in examples]
        self.classes = [e.class_id for e in examples]

    def __len__(self) -> int:
        return len(self.rasters)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.from_numpy(self.rasters[index]), self.classes[index]
