"""Finding the fastest kernels for a device, while models warm up on it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch

from kernels.dispatch import triton_runs


@contextmanager
def tuned_kernels(device: torch.device, seconds: float, folder: Path | None = None) -> Iterator[None]:
    """Within it, forward passes on a CUDA device measure their kernels for shapes that were not met before, for so
    many seconds, and keep what they find in `folder` (by default the user's cache). Elsewhere nothing is measured.
    """
    if device.type != "cuda":
        yield
        return
    with _measured_convolutions(), _tuned(seconds, folder):
        yield


@contextmanager
def _measured_convolutions() -> Iterator[None]:
    """cuDNN measures its algorithms too. Not afterwards: a request of a new shape would wait for that."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def _tuned(seconds: float, folder: Path | None) -> AbstractContextManager[None]:
    if not triton_runs():
        return nullcontext()
    from kernels.tuning import tuned

    return tuned(seconds=seconds, folder=folder)
