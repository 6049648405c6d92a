"""How good a classifier is on a split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from training.lesson import Judge, ScoreT, Transform


@dataclass(frozen=True)
class Accuracy:
    """Of one split: mean cross-entropy, share of right answers, and that of every class, None without samples."""

    loss: float
    accuracy: float
    per_class: dict[str, float | None]

    @property
    def metrics(self) -> dict[str, float]:
        return {"accuracy": self.accuracy, "loss": self.loss}

    @property
    def details(self) -> dict[str, Any]:
        return vars(self)


@dataclass(frozen=True)
class Precision:
    """Of one split whose examples may have several labels: mean binary cross-entropy, the mean over the labels of their
    average precision, and that of every label, None without examples.
    """

    loss: float
    average_precision: float
    per_class: dict[str, float | None]

    @property
    def metrics(self) -> dict[str, float]:
        return {"average_precision": self.average_precision, "loss": self.loss}

    @property
    def details(self) -> dict[str, Any]:
        return vars(self)


def channels_last(x: Tensor) -> Tensor:
    """Maps in the memory format that trains faster; other inputs, such as points, as they are."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def judge_by(transform: Transform, score: Callable[[Tensor, Tensor], ScoreT]) -> Judge[ScoreT]:
    """Scores a model on a split of preprocessed samples and their targets. score: of all logits and all targets."""

    @torch.inference_mode()
    def judge(model: nn.Module, data: Dataset[Any], device: torch.device) -> ScoreT:
        model.eval()
        logits, targets = [], []
        loader: DataLoader[Any] = DataLoader(data, batch_size=64)
        for batch, wanted in loader:
            x = channels_last(transform(batch.to(device)))
            logits.append(model(x)["logits"].float().cpu())
            targets.append(wanted)
        return score(torch.cat(logits), torch.cat(targets))

    return judge


def accuracy(logits: Tensor, classes: Tensor, labels: Sequence[str]) -> Accuracy:
    right = (logits.argmax(dim=1) == classes).float()
    members = [right[classes == i] for i in range(len(labels))]
    per_class = {name: m.mean().item() if len(m) else None for name, m in zip(labels, members, strict=True)}
    return Accuracy(F.cross_entropy(logits, classes).item(), right.mean().item(), per_class)


def precision(logits: Tensor, targets: Tensor, labels: Sequence[str]) -> Precision:
    """targets: (N, classes), one where an example has the label."""
    per_class = {name: average_precision(logits[:, i], targets[:, i]) for i, name in enumerate(labels)}
    known = [value for value in per_class.values() if value is not None]
    loss = F.binary_cross_entropy_with_logits(logits, targets).item()
    return Precision(loss, sum(known) / len(known) if known else 0.0, per_class)


def average_precision(logits: Tensor, wanted: Tensor) -> float | None:
    """Mean share of right ones among those ranked as high as each right one; None where there is none."""
    hits = wanted[logits.argsort(descending=True, stable=True)]
    ranks = torch.arange(1, len(hits) + 1)
    return (hits.cumsum(0) / ranks)[hits > 0].mean().item() if hits.any() else None
