import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from preprocessors.image import ImageOptions, ImagePreprocessor
from training.data import DatasetError, Example
from training.pictures import EvaluationPictures, TrainingPictures, load_pictures, random_crop_box
from training.recipe import Recipe

MAX_PIXELS = 1_000_000


def gradient(width: int, height: int) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)


def saved(folder: Path, width: int = 90, height: int = 60) -> Example:
    path = folder / "a.png"
    Image.fromarray(gradient(width, height)).save(path)
    return Example(path, 1)


def test_large_pictures_are_kept_at_the_short_side_and_small_ones_as_they_are(tmp_path: Path) -> None:
    assert load_pictures([saved(tmp_path)], 30, MAX_PIXELS)[0].shape == (30, 45, 3)
    assert load_pictures([saved(tmp_path)], 100, MAX_PIXELS)[0].shape == (60, 90, 3)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"broken\.png cannot be used"):
        load_pictures([Example(path, 0)], 30, MAX_PIXELS)


def test_crops_stay_inside_and_keep_their_share_of_the_area() -> None:
    rng = random.Random(0)
    for _ in range(500):
        left, top, right, bottom = random_crop_box(rng, 90, 60, 0.3)
        assert 0 <= left < right <= 90
        assert 0 <= top < bottom <= 60
        assert 0.3 - 1e-9 <= (right - left) * (bottom - top) / 5400 <= 1.0
        assert 3 / 4 - 1e-9 <= (right - left) / (bottom - top) <= 4 / 3 + 1e-9


def test_a_picture_too_narrow_for_any_crop_gives_its_central_square() -> None:
    assert random_crop_box(random.Random(0), 1000, 10, 0.9) == (495, 0, 505, 10)


def test_a_crop_depends_on_seed_epoch_and_index_alone() -> None:
    def crop(seed: int, epoch: int, index: int) -> torch.Tensor:
        data = TrainingPictures([gradient(90, 60)] * 2, [0, 1], Recipe(seed=seed), 32)
        data.epoch = epoch
        return data[index][0]

    first = crop(0, 0, 0)
    assert first.shape == (3, 32, 32)
    assert torch.equal(first, crop(0, 0, 0))
    assert not any(torch.equal(first, other) for other in (crop(1, 0, 0), crop(0, 1, 0), crop(0, 0, 1)))


def test_evaluation_sees_what_the_server_sees(tmp_path: Path) -> None:
    preprocessor = ImagePreprocessor(size=32)
    example = saved(tmp_path)
    raster, class_id = EvaluationPictures([example], preprocessor)[0]
    assert np.array_equal(raster.numpy(), preprocessor.decode(example.path.read_bytes(), ImageOptions()).array)
    assert class_id == 1
