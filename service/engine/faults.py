"""Errors of a batch: which of them the device survives."""

import logging

import torch

from service.engine.base import OutOfMemory
from service.engine.error_wire import to_wire

# What the libraries say without a type of its own for it
NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "STATUS_ALLOC_FAILED")
BROKEN_DEVICE = ("CUDA error", "CUDNN_STATUS_", "CUBLAS_STATUS_", "CUFFT_")

log = logging.getLogger(__name__)


class DeviceBroken(Exception):
    """This process can compute no more. Another one can."""


def translated(error: Exception) -> Exception:
    """The error as callers know it: OutOfMemory for every way of saying so."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or _says(error, NO_MEMORY):
        return OutOfMemory(str(error) or "out of memory")
    return error


def breaks_device(error: Exception) -> bool:
    """Whether the process can do no more on its device: after most errors of CUDA, every later call fails."""
    if isinstance(translated(error), OutOfMemory):
        return False
    return isinstance(error, torch.AcceleratorError) or _says(error, BROKEN_DEVICE)


def _says(error: Exception, phrases: tuple[str, ...]) -> bool:
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in phrases)


def survived(error: Exception, what: str) -> tuple[str, str]:
    """How to tell of an error. Raises DeviceBroken for one after which there will only be more."""
    if breaks_device(error):
        log.critical("unrecoverable device error; exiting for restart", exc_info=error)
        raise DeviceBroken from error
    log.warning("%s failed", what, exc_info=error)
    return to_wire(translated(error))
