"""Samples to learn from, drawn anew every epoch, and samples to be judged on, exactly as the server decodes them."""

import random
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from preprocessors.base import PayloadError, Preprocessor, Sample
from training.data import DatasetError, Example

ItemT = TypeVar("ItemT")
Draw = Callable[[ItemT, random.Random, int], Tensor]


class TrainingSamples(Dataset[tuple[Tensor, Tensor]], Generic[ItemT]):
    """What `draw(item, rng, epoch)` makes of the items, with their targets.

    Chance is a function of seed, epoch and index, whatever order or process samples are drawn in. Set `epoch` first.
    """

    def __init__(self, items: Sequence[ItemT], targets: Tensor, seed: int, draw: Draw[ItemT]) -> None:
        self.items = items
        self.targets = targets
        self.seed = seed
        self.draw = draw
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = random.Random(f"{self.seed} {self.epoch} {index}")
        return self.draw(self.items[index], rng, self.epoch), self.targets[index]


class EvaluationSamples(Dataset[tuple[Tensor, Tensor]]):
    """Exactly what the server's preprocessor hands the model, before `transform`, and its target."""

    def __init__(self, examples: Sequence[Example], targets: Tensor, preprocessor: Preprocessor[Any]) -> None:
        self.views = [decoded(example, preprocessor).array for example in examples]
        self.targets = targets

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.views[index]), self.targets[index]


def shares(targets: Tensor, num_classes: int) -> Tensor:
    """(N, classes) of class ids, or of what says so of every class already."""
    return targets.float() if targets.ndim == 2 else F.one_hot(targets.long(), num_classes).float()


def decoded(example: Example, preprocessor: Preprocessor[Any]) -> Sample:
    """Raises DatasetError, naming the file, where it cannot be used."""
    return usable(example, lambda payload: preprocessor.decode(payload, preprocessor.option_type()))


def usable(example: Example, read: Callable[[bytes], ItemT]) -> ItemT:
    """What `read` makes of the file's bytes; a refusal becomes a DatasetError that names the file."""
    try:
        return read(example.path.read_bytes())
    except PayloadError as error:
        raise DatasetError(f"{example.path} cannot be used: {error}") from error
