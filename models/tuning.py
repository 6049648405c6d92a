"""Finding the fastest kernels for a device, while models warm up on it."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from kernels.dispatch import triton_runs


def tuned_kernels(device: torch.device, seconds: float, folder: Path | None = None) -> AbstractContextManager[None]:
    """Within it, forward passes on a CUDA device measure their kernels for shapes that were not met before, for so
    many seconds, and keep what they find in `folder` (by default the user's cache). Elsewhere nothing is measured.
    """
    if device.type != "cuda" or not triton_runs():
        return nullcontext()
    from kernels.tuning import tuned

    return tuned(seconds=seconds, folder=folder)
