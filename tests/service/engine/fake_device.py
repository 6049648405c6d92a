"""A device that is the CPU, and behaves as a GPU does where it matters: work is captured, and memory ends."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from service.engine.device import Captured, CpuDevice, Outputs, Work


class FakeDevice(CpuDevice):
    """memory: bytes in all, of which a batch of n takes n * `bytes_each`. rounds: what a pixel is off after an upload.
    refuses: why nothing can be captured.

    uploads: of how many samples. tuned_uploads: whether kernels were measured in what followed. captured: sizes, in
    their order. replays: how often each was replayed.
    """

    captures = True

    def __init__(self, memory: int = 1 << 40, bytes_each: int = 100, rounds: float = 0.0, refuses: str = "") -> None:
        super().__init__(torch.device("cpu"))
        self.memory, self.bytes_each, self.rounds, self.refuses = memory, bytes_each, rounds, refuses
        self.entered = self.released = 0
        self.uploads: list[int] = []
        self.captured: list[int] = []
        self.replays: dict[int, int] = {}
        self.tunings: list[tuple[float, Path | None]] = []
        self.tunes = False
        self.tuned_uploads: list[bool] = []

    def enter(self) -> None:
        self.entered += 1

    def upload(self, batch: Tensor) -> Tensor:
        self.uploads.append(len(batch))
        self.tuned_uploads.append(self.tunes)
        if len(batch) * self.bytes_each > self.memory:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {len(batch)} samples")
        return batch + self.rounds if self.rounds else batch.clone()

    def capture(self, work: Work) -> Captured:
        if self.refuses:
            raise RuntimeError(self.refuses)
        outputs = {name: value.clone() for name, value in work().items()}
        size = len(next(iter(outputs.values())))
        self.captured.append(size)

        def replay() -> None:
            self.replays[size] = self.replays.get(size, 0) + 1
            for name, value in work().items():
                outputs[name].copy_(value)

        return Captured(replay, outputs)

    def peak_bytes(self, work: Work) -> int:
        return len(next(iter(work().values()))) * self.bytes_each

    def free_bytes(self) -> int:
        return self.memory

    def release(self) -> None:
        self.released += 1

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        made = super().empty(shape, dtype)
        return made.fill_(7)  # what nobody wrote must not be read

    def download(self, outputs: Outputs) -> Outputs:
        return {name: value.clone() for name, value in outputs.items()}

    @contextmanager
    def tuning(self, seconds: float, folder: Path | None) -> Iterator[None]:
        self.tunings.append((seconds, folder))
        self.tunes = True
        yield
        self.tunes = False
