"""All that a training run needs of its task: data, criterion and evaluation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import Dataset

from training.criterion import Criterion
from training.evaluator import Evaluator
from training.training_data import TrainingData


@dataclass(frozen=True)
class TrainingSetup:
    """head: constructor arguments. criterion: of the model's outputs against the targets of a batch.

    evaluation_sets: the splits that `evaluate` measures a model on, validation and test. splits: the sizes of all, and
    how they came about. description: what the model is, for its card. initialise: what is done to a new model before
    its first step. plot: draws what the trained model does into a folder.
    """

    training_data: TrainingData
    head: dict[str, Any]
    criterion: Criterion
    evaluation_sets: Mapping[str, Dataset[Any]]
    evaluate: Evaluator[Any]
    splits: dict[str, Any]
    description: str
    initialise: Callable[[nn.Module], None] | None = None
    plot: Callable[[nn.Module, Path], None] | None = None
