import io
import random

import numpy as np
import pytest
import torch
from PIL import Image

from preprocessors.base import PayloadError
from training.pictures import random_crop, random_crop_box, read_picture

MAX_PIXELS = 1_000_000


def gradient(width: int, height: int) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)


def encoded(width: int = 90, height: int = 60) -> bytes:
    file = io.BytesIO()
    Image.fromarray(gradient(width, height)).save(file, "PNG")
    return file.getvalue()


def test_large_pictures_are_kept_at_the_short_side_and_small_ones_as_they_are() -> None:
    assert read_picture(encoded(), 30, MAX_PIXELS).shape == (30, 45, 3)
    assert read_picture(encoded(), 100, MAX_PIXELS).shape == (60, 90, 3)


def test_a_broken_picture_is_refused() -> None:
    with pytest.raises(PayloadError):
        read_picture(b"no picture", 30, MAX_PIXELS)


def test_crop_boxes_stay_inside_and_keep_their_share_of_the_area() -> None:
    rng = random.Random(0)
    for _ in range(500):
        left, top, right, bottom = random_crop_box(rng, 90, 60, 0.3)
        assert 0 <= left < right <= 90
        assert 0 <= top < bottom <= 60
        assert 0.3 - 1e-9 <= (right - left) * (bottom - top) / 5400 <= 1.0
        assert 3 / 4 - 1e-9 <= (right - left) / (bottom - top) <= 4 / 3 + 1e-9


def test_a_picture_too_narrow_for_any_crop_gives_its_central_square() -> None:
    assert random_crop_box(random.Random(0), 1000, 10, 0.9) == (495, 0, 505, 10)


def test_a_crop_shows_a_part_of_the_picture_in_the_unit_range() -> None:
    crop = random_crop(gradient(90, 60), random.Random(0), 32, 0.3)
    assert crop.shape == (3, 32, 32)
    assert 0 <= crop.min() < crop.max() <= 1
    assert torch.all(crop[0].diff(dim=1) >= 0)  # red grows to the right, whichever part it is
    assert torch.allclose(crop[0] + crop[2], torch.ones(32, 32), atol=0.01)
