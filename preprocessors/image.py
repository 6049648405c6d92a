"""Images: encoded file -> (size, size, 3) uint8 raster -> normalised (3, size, size) map.

The evaluation transform is the authors' (main.py, datasets.py): bicubic, shorter side to size / 0.875, centre crop;
from 384 pixels on, a warp straight to size x size.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preprocessors.base import Array, Preprocessor, Sample
from preprocessors.pictures.orientation import UPRIGHT, orientation, swaps_sides, upright
from preprocessors.pictures.raster import READERS, decoder_faults, open_image, stored_rgb, to_rgb

if TYPE_CHECKING:
    from torch import Tensor, device, dtype

__all__ = ["ImageOptions", "ImagePreprocessor", "decoder_faults", "open_image", "to_rgb"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SMALLEST_WARPED_SIZE = 384
DRAFT_SCALE = 2  # a scaled JPEG decode keeps at least this many times the target, or its blur shows
EXTREME_ASPECT = 16  # beyond it the scaled picture would be mostly cropped away, and could be of any size
REDUCING_GAP = 8.0  # box-filter long sides down to this many times the target, to bound the bicubic filter's length


@dataclass(frozen=True)
class ImageOptions:
    """What a request may ask of the decoding."""

    exact: bool = field(
        default=True, metadata={"description": "false: scale large JPEGs down while they are decoded, which is faster"}
    )


@dataclass(frozen=True)
class ImagePreprocessor(Preprocessor[ImageOptions]):
    """size: side of the square the model sees. crop: share of the scaled image that the square keeps (below 384).

    max_pixels: width x height of the largest picture that is decoded, read from its header.
    """

    modality: ClassVar[str] = "image"
    media_types: ClassVar[tuple[str, ...]] = tuple(f"image/{name.lower()}" for name in READERS)
    option_type: ClassVar[type] = ImageOptions

    size: int = 224
    crop: float = 0.875
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    max_pixels: int = 40_000_000

    def decode(self, payload: bytes, options: ImageOptions) -> Sample:
        """(size, size, 3) uint8, described by the width and height of the picture as it is displayed."""
        with decoder_faults():
            image = open_image(payload, self.max_pixels)
            width, height = image.size
            if not options.exact:  # stored and displayed size ask for the same scale: only long and short side count
                image.draft("RGB", self._draft_size(width, height))
            stored = stored_rgb(image)
            turn = orientation(image)
            raster = self.crop_resized(stored, turn)
        if swaps_sides(turn):
            width, height = height, width
        name = (image.format or "").lower()
        return Sample((raster,), {"width": width, "height": height, "format": name, "bytes": len(payload)})

    def blank(self) -> Array:
        return np.zeros((self.size, self.size, 3), np.uint8)

    def example(self) -> bytes:
        file = BytesIO()
        Image.new("RGB", (2 * self.size, self.size)).save(file, "JPEG")
        return file.getvalue()

    def transform(self, batch: "Tensor") -> "Tensor":
        """(N, size, size, 3) uint8 -> (N, 3, size, size) float32, normalised by channel."""
        return self.normalise(unit_range(batch.permute(0, 3, 1, 2)))

    def normalise(self, x: "Tensor") -> "Tensor":
        """(N, 3, H, W) in [0, 1] -> zero mean and unit deviation by channel, over the training data's statistics."""
        mean, std = (per_channel(tuple(values), x.dtype, x.device) for values in (self.mean, self.std))
        return (x - mean) / std

    def crop_resized(self, image: Image.Image, turn: int = UPRIGHT) -> NDArray[np.uint8]:
        """The authors' evaluation transform up to the raster, (size, size, 3), for an RGB image as it is stored.

        `turn` is its EXIF orientation. The scaled picture is turned, not the large one: some pixels differ by a step
        or two, and a phone's photo takes half the time.
        """
        if max(image.size) > EXTREME_ASPECT * min(image.size):
            return self._crop_of_extreme(upright(image, turn))
        scaled = upright(image.resize(self._scaled(*image.size), Image.Resampling.BICUBIC), turn)
        return np.array(scaled.crop(self._crop_box(*scaled.size)))

    def _crop_of_extreme(self, image: Image.Image) -> NDArray[np.uint8]:
        """The same square, without allocating the scaled picture around it; pixels may differ by a step or two."""
        width, height = self._scaled(*image.size)
        x, y = image.width / width, image.height / height
        left, top, right, bottom = self._crop_box(width, height)
        source = (left * x, top * y, min(right * x, image.width), min(bottom * y, image.height))
        return np.array(image.resize((self.size, self.size), Image.Resampling.BICUBIC, source, REDUCING_GAP))

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        """Width and height before the crop: the long side is truncated, as torchvision does."""
        if self.size >= SMALLEST_WARPED_SIZE:
            return self.size, self.size
        short = int(self.size / self.crop)
        if width <= height:
            return short, int(short * height / width)
        return int(short * width / height), short

    def _crop_box(self, width: int, height: int) -> tuple[int, int, int, int]:
        left, top = round((width - self.size) / 2), round((height - self.size) / 2)
        return left, top, left + self.size, top + self.size

    def _draft_size(self, width: int, height: int) -> tuple[int, int]:
        scaled_width, scaled_height = self._scaled(width, height)
        return DRAFT_SCALE * scaled_width, DRAFT_SCALE * scaled_height


def unit_range(raster: "Tensor") -> "Tensor":
    """uint8 -> float32 from 0 to 1, the same bits on every device."""
    x = raster.float()
    # By a tensor: a GPU would multiply by the reciprocal of a number, which rounds otherwise
    return x.div_(x.new_full((), 255.0))


@lru_cache(maxsize=64)
def per_channel(values: tuple[float, ...], dtype: "dtype", device: "device") -> "Tensor":
    """(1, channels, 1, 1), made once: copying numbers to a GPU waits for all that it has to do."""
    import torch

    with torch.inference_mode(False):  # what is kept must also serve those who train
        return torch.tensor(values, dtype=dtype, device=device).view(1, -1, 1, 1)
