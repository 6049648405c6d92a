"""Errors of a batch: which of them the device survives, and how they travel from one process to another."""

import logging

import torch

from models.checkpoint import CheckpointError
from service.engine.base import OutOfMemory

# By the name under which they travel; of others, the nearest ancestor
ERRORS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (OutOfMemory, CheckpointError, FloatingPointError, ValueError, TypeError, LookupError, RuntimeError)
}
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


def to_wire(error: Exception) -> tuple[str, str]:
    """Name of a kind that the other process knows, and a message that names the type where it is another."""
    error = translated(error)
    kind = next((base for base in type(error).__mro__ if base in ERRORS.values()), RuntimeError)
    message = str(error) if kind is type(error) else f"{type(error).__name__}: {error}"
    return kind.__name__, message


def survived(error: Exception, what: str) -> tuple[str, str]:
    """How to tell of an error. Raises DeviceBroken for one after which there will only be more."""
    if breaks_device(error):
        log.critical("the device fails, this process ends to be replaced", exc_info=error)
        raise DeviceBroken from error
    log.warning("%s failed", what, exc_info=error)
    return to_wire(error)


def from_wire(kind: str, message: str) -> Exception:
    return ERRORS[kind](message)
