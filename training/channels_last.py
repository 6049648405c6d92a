"""The memory format of what is trained and evaluated."""

import torch
from torch import Tensor


def channels_last(x: Tensor) -> Tensor:
    """Maps in the memory format that trains faster; other inputs, such as points, as they are."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
