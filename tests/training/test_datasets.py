import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from preprocessors.image import ImageOptions, ImagePreprocessor
from training.dataset_error import DatasetError
from training.evaluation_dataset import EvaluationDataset
from training.example import Example
from training.training_dataset import TrainingDataset


def drawn(item: float, rng: random.Random, epoch: int) -> Tensor:
    return torch.tensor([item, rng.random(), epoch])


def test_a_sample_depends_on_seed_epoch_and_index_alone() -> None:
    def sample(seed: int, epoch: int, index: int) -> Tensor:
        data = TrainingDataset([7.0, 7.0], torch.tensor([0, 1]), seed, drawn)
        data.epoch = epoch
        return data[index][0]

    first = sample(0, 0, 0)
    assert torch.equal(first, sample(0, 0, 0))
    assert not any(torch.equal(first[1], other[1]) for other in (sample(1, 0, 0), sample(0, 1, 0), sample(0, 0, 1)))


def test_evaluation_sees_what_the_server_sees(tmp_path: Path) -> None:
    preprocessor, path = ImagePreprocessor(size=32), tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(path)
    view, class_id = EvaluationDataset([Example(path, (1,))], torch.tensor([1]), preprocessor)[0]
    assert np.array_equal(view.numpy(), preprocessor.decode(path.read_bytes(), ImageOptions()).array)
    assert class_id == 1


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"broken\.png cannot be used"):
        EvaluationDataset([Example(path, (0,))], torch.tensor([0]), ImagePreprocessor(size=32))
