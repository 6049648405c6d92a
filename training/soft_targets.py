"""Targets as a share of every class."""

import torch.nn.functional as F
from torch import Tensor


def soft_targets(targets: Tensor, num_classes: int) -> Tensor:
    """(N, classes) of class ids, or of what says so of every class already."""
    return targets.float() if targets.ndim == 2 else F.one_hot(targets.long(), num_classes).float()
