"""How good a classifier is where an example may have several labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class MultiLabelMetrics:
    """Of one split whose examples may have several labels: mean binary cross-entropy, the mean over the labels of their
    average precision, and that of every label, None without examples.
    """

    loss: float
    average_precision: float
    per_class: dict[str, float | None]

    @property
    def summary(self) -> dict[str, float]:
        return {"average_precision": self.average_precision, "loss": self.loss}

    @property
    def details(self) -> dict[str, Any]:
        return vars(self)


def multi_label_metrics(logits: Tensor, targets: Tensor, labels: Sequence[str]) -> MultiLabelMetrics:
    """targets: (N, classes), one where an example has the label."""
    per_class = {name: average_precision(logits[:, i], targets[:, i]) for i, name in enumerate(labels)}
    known = [value for value in per_class.values() if value is not None]
    loss = F.binary_cross_entropy_with_logits(logits, targets).item()
    return MultiLabelMetrics(loss, sum(known) / len(known) if known else 0.0, per_class)


def average_precision(logits: Tensor, wanted: Tensor) -> float | None:
    """Mean share of right ones among those ranked as high as each right one; None where there is none."""
    hits = wanted[logits.argsort(descending=True, stable=True)]
    ranks = torch.arange(1, len(hits) + 1)
    return (hits.cumsum(0) / ranks)[hits > 0].mean().item() if hits.any() else None
