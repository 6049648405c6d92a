"""How good a model is on a split."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

Transform = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Score:
    """Of one split: mean cross-entropy, share of right answers, and that of every class, None without samples."""

    loss: float
    accuracy: float
    per_class: list[float | None]


def channels_last(x: Tensor) -> Tensor:
    """Maps in the memory format that trains faster; other inputs, such as points, as they are."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


@torch.inference_mode()
def evaluate(model: nn.Module, data: Dataset[tuple[Tensor, int]], transform: Transform, device: torch.device) -> Score:
    """Score the model, in eval mode, on a split of preprocessed samples."""
    model.eval()
    logits, classes = [], []
    loader: DataLoader[Any] = DataLoader(data, batch_size=64)
    for batch, ids in loader:
        x = channels_last(transform(batch.to(device)))
        logits.append(model(x)["logits"].float().cpu())
        classes.append(ids)
    return score(torch.cat(logits), torch.cat(classes))


def score(logits: Tensor, classes: Tensor) -> Score:
    right = (logits.argmax(dim=1) == classes).float()
    members = [right[classes == i] for i in range(logits.shape[1])]
    per_class = [member.mean().item() if len(member) else None for member in members]
    return Score(F.cross_entropy(logits, classes).item(), right.mean().item(), per_class)
