"""What a run learns from, what it strives for, and how it is judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from models.heads.base import Outputs
from preprocessors.base import Preprocessor

Transform = Callable[[Tensor], Tensor]
Augment = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Loss = Callable[[Outputs, Tensor], Tensor]


class EpochDataset(Protocol):
    """A dataset whose chance is a function of its epoch."""

    epoch: int

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> tuple[Tensor, Any]: ...


class Score(Protocol):
    """How good a model is on a split. metrics: by name, the one to show first. details: for metrics.json."""

    @property
    def metrics(self) -> dict[str, float]: ...
    @property
    def details(self) -> dict[str, Any]: ...


ScoreT = TypeVar("ScoreT", bound=Score)
Judge = Callable[[nn.Module, Dataset[Any], torch.device], ScoreT]


@dataclass(frozen=True)
class Material:
    """What a run learns from. preprocessor: as it will be served. normalise: an augmented batch -> the model's input.

    embedding: constructor arguments of the embedding that goes with the preprocessor.
    """

    preprocessor: Preprocessor[Any]
    training: EpochDataset
    augment: Augment
    normalise: Transform
    embedding: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lesson:
    """head: constructor arguments. loss: of the model's outputs against the targets of a batch.

    judged: the splits that `judge` scores, validation and test. splits: their sizes, and how they came about.
    description: what the model is, for its card. prepare: what a new model is given before its first step. illustrate:
    draws pictures of what it learned into a folder.
    """

    material: Material
    head: dict[str, Any]
    loss: Loss
    judged: Mapping[str, Dataset[Any]]
    judge: Judge[Any]
    splits: dict[str, Any]
    description: str
    prepare: Callable[[nn.Module], None] | None = None
    illustrate: Callable[[nn.Module, Path], None] | None = None
