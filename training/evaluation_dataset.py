"""Samples to evaluate on, exactly as the server decodes them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from preprocessors.base import Preprocessor
from training.example import Example
from training.example_reader import decode_example


class EvaluationDataset(Dataset[tuple[Tensor, Tensor]]):
    """Exactly what the server's preprocessor hands the model, before `transform`, and its target."""

    def __init__(self, examples: Sequence[Example], targets: Tensor, preprocessor: Preprocessor[Any]) -> None:
        self.views = [decode_example(example, preprocessor).array for example in examples]
        self.targets = targets

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.views[index]), self.targets[index]
