"""What a model is trained on, from the samples drawn to the input of the model."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from preprocessors.base import Preprocessor
from training.epoch_dataset import EpochDataset

Transform = Callable[[Tensor], Tensor]
Augment = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class TrainingData:
    """preprocessor: as it will be served. dataset: of single samples. augment: of a batch and its targets.

    normalise: an augmented batch -> the model's input. embedding: constructor arguments of the embedding that goes with
    the preprocessor.
    """

    preprocessor: Preprocessor[Any]
    dataset: EpochDataset
    augment: Augment
    normalise: Transform
    embedding: dict[str, Any] = field(default_factory=dict)
