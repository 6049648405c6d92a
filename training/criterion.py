"""What training minimises, by kind of answer."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from models.heads.base import Outputs

# the outputs of a model and the targets of a batch -> a scalar
Criterion = Callable[[Outputs, Tensor], Tensor]


def soft_cross_entropy(label_smoothing: float) -> Criterion:
    """Of the logits against soft targets (N, classes)."""

    def loss(outputs: Outputs, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs["logits"].float(), targets, label_smoothing=label_smoothing)

    return loss


def binary_cross_entropy(label_smoothing: float) -> Criterion:
    """Of every logit by itself, against soft targets (N, classes)."""

    def loss(outputs: Outputs, targets: Tensor) -> Tensor:
        smoothed = torch.lerp(targets, torch.full_like(targets, 0.5), label_smoothing)
        return F.binary_cross_entropy_with_logits(outputs["logits"].float(), smoothed)

    return loss


def masked_mse(outputs: Outputs, targets: Tensor) -> Tensor:
    """Mean squared error where the target is known; NaN elsewhere."""
    known = ~targets.isnan()
    error = (outputs["forecast"].float() - targets.nan_to_num(0.0)).masked_fill(~known, 0)
    return error.square().sum() / known.sum().clamp(min=1)
