"""Samples to train on, drawn anew every epoch."""

import random
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from torch import Tensor
from torch.utils.data import Dataset

ItemT = TypeVar("ItemT")
Draw = Callable[[ItemT, random.Random, int], Tensor]


class TrainingDataset(Dataset[tuple[Tensor, Tensor]], Generic[ItemT]):
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
