"""Videos for training: frames kept small in memory, a clip of them augmented anew every time."""

import random
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from preprocessors.base import Array
from preprocessors.video import DECODERS, VideoPreprocessor
from preprocessors.videos.clip import clip_frames
from training.pictures import random_crop_box

KEPT_SCALE = 1.3  # short side kept in memory, over that of the served frames
KEPT_CLIPS = 4  # at most so many clips' length of a video is kept, from its middle


@dataclass(frozen=True)
class ClipAugment:
    """smallest_crop: least share of the area kept. light: largest relative change of contrast, brightness and colours.

    noise: largest deviation of what is added to every pixel, of a range of 1.
    """

    smallest_crop: float
    light: float
    noise: float

    def __call__(self, pixels: Tensor, rng: random.Random) -> Tensor:
        """(T, H, W, 3) in [0, 1], all frames seen in the same other light."""
        gains = torch.tensor([rng.uniform(1 - self.light, 1 + self.light) for _ in range(3)])
        pixels = (pixels - 0.5) * gains + 0.5 + rng.uniform(-self.light, self.light) / 2
        grain = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(rng.getrandbits(60)))
        return pixels.add_(grain, alpha=rng.uniform(0, self.noise)).clamp_(0, 1)


def read_frames(payload: bytes, preprocessor: VideoPreprocessor) -> Array:
    """(T, H, W, 3) uint8, the frames around the middle of the video. Raises PayloadError."""
    limits = {name: getattr(preprocessor, name) for name in ("max_pixels", "max_frames", "max_seconds")}
    with DECODERS[preprocessor.decoder](payload, **limits) as reader:
        kept = KEPT_CLIPS * preprocessor.frames * preprocessor.stride
        first = max(0, (len(reader) - kept) // 2)
        numbers = range(first, min(len(reader), first + kept))
        return np.stack([_small(reader[number], round(KEPT_SCALE * preprocessor.size)) for number in numbers])


def random_clip(frames: Array, rng: random.Random, preprocessor: VideoPreprocessor, augment: ClipAugment) -> Tensor:
    """(frames, size, size, 3) in [0, 1]: another start, another crop and other light, the same for the whole clip."""
    centred = clip_frames(len(frames), preprocessor.frames, preprocessor.stride, 1)[0]
    shift = rng.randint(-centred[0], len(frames) - 1 - centred[-1])
    box = random_crop_box(rng, frames.shape[2], frames.shape[1], augment.smallest_crop)
    clip = np.stack([_cropped(frames[number + shift], box, preprocessor.size) for number in centred])
    return augment(torch.from_numpy(clip).float().div_(255), rng)


def _small(frame: Array, short_side: int) -> Array:
    scale = short_side / min(frame.shape[:2])
    if scale >= 1:
        return frame
    width, height = (round(side * scale) for side in (frame.shape[1], frame.shape[0]))
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR))


def _cropped(frame: Array, box: tuple[float, float, float, float], size: int) -> Array:
    return np.asarray(Image.fromarray(frame).resize((size, size), Image.Resampling.BILINEAR, box=box))
