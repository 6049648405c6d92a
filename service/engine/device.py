"""What an engine does differently from device to device."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from models.tuning import tuned_kernels

Outputs = dict[str, Tensor]
Work = Callable[[], Outputs]

WARM_UPS = 2  # before a capture: libraries choose algorithms and take workspaces
UNBOUNDED = 1 << 62


@dataclass(frozen=True)
class Captured:
    """replay: does the captured work again, on what then lies in the memory that it read. outputs: where it leaves
    its results, until the next replay."""

    replay: Callable[[], None]
    outputs: Outputs


class Device(Protocol):
    """captures: whether work of fixed size is captured once and replayed, so that batches are padded to such sizes."""

    captures: bool

    def enter(self) -> None:
        """Make it the one that the calling thread computes on. Raises what the device raises."""
        ...

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Memory of the host that `upload` reads fast."""
        ...

    def upload(self, batch: Tensor) -> Tensor:
        """From the host; the copy may still run when this returns."""
        ...

    def download(self, outputs: Outputs) -> Outputs:
        """To the host, once everything before is computed."""
        ...

    def capture(self, work: Work) -> Captured:
        """Raises RuntimeError for work that needs the host in between."""
        ...

    def peak_bytes(self, work: Work) -> int:
        """Memory that the work takes while it runs, beside what it finds taken."""
        ...

    def free_bytes(self) -> int:
        """Memory that work could take."""
        ...

    def release(self) -> None:
        """Give back what is kept for reuse: it may be in pieces too small."""
        ...

    def tuning(self, seconds: float, folder: Path | None) -> AbstractContextManager[None]:
        """Within it, kernels are measured for shapes that were not met before."""
        ...


class CpuDevice:
    """The host itself, and every device that needs none of this."""

    captures = False

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def enter(self) -> None:
        return

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        return torch.empty(*shape, dtype=dtype)

    def upload(self, batch: Tensor) -> Tensor:
        return batch.to(self.device)

    def download(self, outputs: Outputs) -> Outputs:
        return {name: value.cpu() for name, value in outputs.items()}

    def capture(self, work: Work) -> Captured:
        raise RuntimeError(f"work on {self.device} cannot be captured")

    def peak_bytes(self, work: Work) -> int:
        work()
        return 0

    def free_bytes(self) -> int:
        return UNBOUNDED

    def release(self) -> None:
        return

    def tuning(self, seconds: float, folder: Path | None) -> AbstractContextManager[None]:
        return nullcontext()


class CudaDevice:
    """One GPU. Captured work shares one pool of memory: it is replayed one after the other, and its results are
    downloaded before the next."""

    captures = True

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @cached_property
    def _pool(self) -> Any:
        return torch.cuda.graph_pool_handle()

    def enter(self) -> None:
        if self.device.index is not None:
            torch.cuda.set_device(self.device)  # some kernels start on the current device, whatever they are given

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        return torch.empty(*shape, dtype=dtype, pin_memory=True)  # torch keeps pinned memory for reuse

    def upload(self, batch: Tensor) -> Tensor:
        return batch.to(self.device, non_blocking=True)

    def download(self, outputs: Outputs) -> Outputs:
        copies = {name: self.empty(value.shape, value.dtype) for name, value in outputs.items()}
        for name, copy in copies.items():
            copy.copy_(outputs[name], non_blocking=True)
        torch.cuda.current_stream(self.device).synchronize()
        return copies

    def capture(self, work: Work) -> Captured:
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                work()
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads may use other devices meanwhile, where an engine is a thread
        with torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"):
            outputs = work()
        return Captured(graph.replay, outputs)

    def peak_bytes(self, work: Work) -> int:
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        work()
        torch.cuda.synchronize(self.device)
        return torch.cuda.max_memory_allocated(self.device) - before

    def free_bytes(self) -> int:
        free, _ = torch.cuda.mem_get_info(self.device)
        return free + torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)

    def release(self) -> None:
        torch.cuda.empty_cache()

    def tuning(self, seconds: float, folder: Path | None) -> AbstractContextManager[None]:
        return tuned_kernels(self.device, seconds, folder)


DEVICES: dict[str, Callable[[torch.device], Device]] = {"cpu": CpuDevice, "cuda": CudaDevice}


def engine_device(device: torch.device) -> Device:
    return DEVICES.get(device.type, CpuDevice)(device)
