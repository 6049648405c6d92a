"""Images: encoded file -> (size, size, 3) uint8 raster -> normalised (3, size, size) map.

The evaluation transform is the authors' (main.py, datasets.py): bicubic, shorter side to size / 0.875, centre crop;
from 384 pixels on, a warp straight to size x size.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from preprocessors.base import Preprocessor, Sample

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SMALLEST_WARPED_SIZE = 384
DRAFT_SCALE = 2  # a scaled JPEG decode keeps at least this many times the target, or its blur shows
MAX_JPEG_SCANS = 64
SIXTEEN_BIT_TO_EIGHT = 1 / 257
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
}


@dataclass(frozen=True)
class ImageOptions:
    """exact: decode every pixel of a JPEG. False lets the decoder scale large photos down while it reads them."""

    exact: bool = True


@dataclass(frozen=True)
class ImagePreprocessor(Preprocessor[ImageOptions]):
    """size: side of the square the model sees. crop: share of the scaled image that the square keeps (below 384)."""

    modality: ClassVar[str] = "image"
    media_types: ClassVar[tuple[str, ...]] = tuple(MEDIA_TYPES.values())
    option_type: ClassVar[type] = ImageOptions

    size: int = 224
    crop: float = 0.875
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    max_pixels: int = 40_000_000

    def decode(self, payload: bytes, options: ImageOptions) -> Sample:
        with decoder_faults():
            image = open_image(payload, self.max_pixels)
            width, height, name = image.width, image.height, image.format or ""
            if not options.exact:
                image.draft("RGB", tuple(DRAFT_SCALE * side for side in self._scaled(width, height)))
            raster = self.crop_resized(to_rgb(image))
        description = {"width": width, "height": height, "format": name.lower(), "bytes": len(payload)}
        return Sample(raster, description)

    def blank(self) -> Sample:
        return Sample(np.zeros((self.size, self.size, 3), np.uint8))

    def transform(self, batch: Tensor) -> Tensor:
        """(N, size, size, 3) uint8 -> (N, 3, size, size) float32, normalised by channel."""
        return self.normalise(batch.permute(0, 3, 1, 2).float().div_(255))

    def normalise(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> zero mean and unit deviation by channel, over the training data's statistics."""
        mean, std = (torch.tensor(values, device=x.device).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (x - mean) / std

    def crop_resized(self, image: Image.Image) -> NDArray[np.uint8]:
        """The authors' evaluation transform up to the raster, (size, size, 3)."""
        image = image.resize(self._scaled(image.width, image.height), Image.Resampling.BICUBIC)
        left, top = round((image.width - self.size) / 2), round((image.height - self.size) / 2)
        return np.asarray(image.crop((left, top, left + self.size, top + self.size)))

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        """Width and height before the crop: the long side is truncated, as torchvision does."""
        if self.size >= SMALLEST_WARPED_SIZE:
            return self.size, self.size
        short = int(self.size / self.crop)
        if width <= height:
            return short, int(short * height / width)
        return int(short * width / height), short


def open_image(payload: bytes, max_pixels: int) -> Image.Image:
    """Read the header only, and refuse what would be costly to go on with."""
    image = Image.open(io.BytesIO(payload), formats=tuple(MEDIA_TYPES))
    return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Upright and in RGB."""
    return ImageOps.exif_transpose(image).convert("RGB")


@contextmanager
def decoder_faults() -> Iterator[None]:
    yield
