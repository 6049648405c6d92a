"""How good a classifier is where the classes exclude each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class SingleLabelMetrics:
    """Of one split: mean cross-entropy, share of right answers, and that of every class, None without samples."""

    loss: float
    accuracy: float
    per_class: dict[str, float | None]

    @property
    def summary(self) -> dict[str, float]:
        return {"accuracy": self.accuracy, "loss": self.loss}

    @property
    def details(self) -> dict[str, Any]:
        return vars(self)


def single_label_metrics(logits: Tensor, classes: Tensor, labels: Sequence[str]) -> SingleLabelMetrics:
    right = (logits.argmax(dim=1) == classes).float()
    members = [right[classes == i] for i in range(len(labels))]
    per_class = {name: m.mean().item() if len(m) else None for name, m in zip(labels, members, strict=True)}
    return SingleLabelMetrics(F.cross_entropy(logits, classes).item(), right.mean().item(), per_class)
