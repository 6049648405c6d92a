"""Pictures for training: decoded once, kept small in memory, cropped at random."""

import math
import random

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from preprocessors.image import decoder_faults, open_image, to_rgb

KEPT_SCALE = 1.6  # short side kept in memory, over the training size: enough detail for a tight crop
ASPECTS = (3 / 4, 4 / 3)
CROP_TRIES = 10

Raster = NDArray[np.uint8]


def read_picture(payload: bytes, short_side: int, max_pixels: int) -> Raster:
    """Upright RGB raster (H, W, 3), a larger picture scaled down to this short side. Raises PayloadError."""
    with decoder_faults():
        image = to_rgb(open_image(payload, max_pixels))
    scale = short_side / min(image.size)
    if scale < 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    return np.asarray(image)


def random_crop(raster: Raster, rng: random.Random, size: int, smallest: float) -> Tensor:
    """A random crop, (3, size, size) in [0, 1]."""
    image = Image.fromarray(raster)
    box = random_crop_box(rng, image.width, image.height, smallest)
    crop = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return torch.from_numpy(np.array(crop)).permute(2, 0, 1).float().div_(255)


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
