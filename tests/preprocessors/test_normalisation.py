"""Pixels become the same numbers on every device."""

import numpy as np
import pytest
import torch

from preprocessors.image import IMAGENET_MEAN, IMAGENET_STD, ImagePreprocessor, per_channel, unit_range
from preprocessors.video import VideoPreprocessor

LEVELS = torch.arange(256, dtype=torch.uint8)


def test_levels_are_the_nearest_numbers_to_their_256_parts() -> None:
    expected = (np.arange(256, dtype=np.float64) / 255).astype(np.float32)
    assert np.array_equal(unit_range(LEVELS).numpy(), expected)


def test_the_reciprocal_would_round_otherwise() -> None:
    assert not torch.equal(LEVELS.float() * (1 / torch.tensor(255.0)), unit_range(LEVELS))


def test_rasters_are_left_as_they_are() -> None:
    raster = LEVELS.clone()
    unit_range(raster)
    assert torch.equal(raster, LEVELS)


def test_constants_are_made_once_and_serve_training_after_inference() -> None:
    per_channel.cache_clear()
    with torch.inference_mode():
        made = per_channel(IMAGENET_MEAN, torch.float32, torch.device("cpu"))
    assert per_channel(IMAGENET_MEAN, torch.float32, torch.device("cpu")) is made
    x = torch.zeros(1, 3, 2, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(((x - made) * made).sum(), x)
    assert torch.equal(gradient, made.expand_as(x))


@pytest.mark.gpu
@pytest.mark.parametrize(
    "preprocessor",
    [ImagePreprocessor(size=16), VideoPreprocessor(frames=4, size=8, grid=(2, 2))],
    ids=["image", "video"],
)
def test_a_gpu_gives_the_bits_of_the_cpu(preprocessor: ImagePreprocessor | VideoPreprocessor) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    batch = torch.from_numpy(np.resize(LEVELS.numpy(), (3, *preprocessor.blank().shape)))
    assert torch.equal(preprocessor.transform(batch.cuda()).cpu(), preprocessor.transform(batch))


def test_means_and_deviations_are_those_of_imagenet() -> None:
    found = ImagePreprocessor(size=16).transform(LEVELS.view(1, 16, 16, 1).expand(1, 16, 16, 3))
    expected = (np.arange(256).reshape(16, 16) / 255 - np.array(IMAGENET_MEAN)[:, None, None]) / np.array(IMAGENET_STD)[
        :, None, None
    ]
    assert np.abs(found[0].double().numpy() - expected).max() < 1e-6
