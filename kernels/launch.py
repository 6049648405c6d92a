"""What every launch needs: its block sizes, and the device of its tensors."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

Config = dict[str, int]  # block sizes, num_warps, num_stages


def on_device_of(x: Tensor) -> AbstractContextManager[object]:
    """Launches go to the current device, which need not be that of their tensors; on a CPU there is no such thing."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()
