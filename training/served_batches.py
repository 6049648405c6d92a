"""Batches of an evaluation set, as the model will be served them."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from preprocessors.base import Preprocessor

SAMPLES = 64  # enough to meet every class; a processor without bfloat16 takes a minute for that many pictures


def served_batches(data: Any, preprocessor: Preprocessor[Any], device: torch.device) -> Iterator[Tensor]:
    """Inputs of the model, of at most SAMPLES samples from all over the data: from all of its classes."""
    chosen = range(0, len(data), math.ceil(len(data) / SAMPLES) or 1)
    for batch, _ in DataLoader(Subset(data, chosen), batch_size=8):
        yield preprocessor.transform(batch.to(device))
