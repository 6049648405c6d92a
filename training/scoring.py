"""How good a classifier is on a split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from training.lesson import Judge, Transform


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


def channels_last(x: Tensor) -> Tensor:
    """Maps in the memory format that trains faster; other inputs, such as points, as they are."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def accuracy_judge(transform: Transform, labels: Sequence[str]) -> Judge[Accuracy]:
    """Scores a model on a split of preprocessed samples and their classes."""

    @torch.inference_mode()
    def judge(model: nn.Module, data: Dataset[Any], device: torch.device) -> Accuracy:
        model.eval()
        logits, classes = [], []
        loader: DataLoader[Any] = DataLoader(data, batch_size=64)
        for batch, ids in loader:
            x = channels_last(transform(batch.to(device)))
            logits.append(model(x)["logits"].float().cpu())
            classes.append(ids)
        return accuracy(torch.cat(logits), torch.cat(classes), labels)

    return judge


def accuracy(logits: Tensor, classes: Tensor, labels: Sequence[str]) -> Accuracy:
    right = (logits.argmax(dim=1) == classes).float()
    members = [right[classes == i] for i in range(len(labels))]
    per_class = {name: m.mean().item() if len(m) else None for name, m in zip(labels, members, strict=True)}
    return Accuracy(F.cross_entropy(logits, classes).item(), right.mean().item(), per_class)
