import pytest
import torch

from models.description import CheckpointError
from service.engine.base import OutOfMemory
from service.engine.error_wire import from_wire, to_wire
from service.engine.faults import breaks_device, translated


class Odd(ValueError):
    """An error that the other process need not know."""


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (FloatingPointError("NaN"), FloatingPointError, "NaN"),
        (RuntimeError("thirteen"), RuntimeError, "thirteen"),
        (CheckpointError("no file"), CheckpointError, "no file"),
        (KeyError("a"), LookupError, "KeyError: 'a'"),
        (Odd("even"), ValueError, "Odd: even"),
        (ZeroDivisionError("by zero"), RuntimeError, "ZeroDivisionError: by zero"),
        (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemory, "CUDA out of memory"),
        (MemoryError(), OutOfMemory, "out of memory"),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_errors_keep_their_meaning_on_their_way(error: Exception, kind: type[Exception], message: str) -> None:
    arrived = from_wire(*to_wire(translated(error)))
    assert (type(arrived), str(arrived)) == (kind, message)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("Tried to allocate"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        torch.AcceleratorError("CUDA error: out of memory"),
    ],
    ids=repr,
)
def test_a_lack_of_memory_is_told_apart_and_survived(error: Exception) -> None:
    assert isinstance(translated(error), OutOfMemory)
    assert not breaks_device(error)


def test_torch_says_so_itself_when_it_has_no_memory() -> None:
    with pytest.raises(RuntimeError) as refusal:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert isinstance(translated(refusal.value), OutOfMemory)


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
    ],
    ids=repr,
)
def test_errors_that_a_device_does_not_recover_from_are_known(error: Exception) -> None:
    assert breaks_device(error)


@pytest.mark.parametrize("error", [RuntimeError("thirteen"), ValueError("CUDA error"), FloatingPointError()], ids=repr)
def test_others_leave_the_device_whole(error: Exception) -> None:
    assert not breaks_device(error)
    assert translated(error) is error
