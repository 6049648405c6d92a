"""Dynamic batching: views of samples that wait while the device is busy share its next forward pass.

A batch is cut only when the device is free, so nothing waits for a timer: a lone request runs at once, and under load
the queue fills the next batch by itself.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from models.heads.base import Row
from preprocessors.base import Array

RunBatch = Callable[[Sequence[Array]], list[Row]]


@dataclass(eq=False)
class Overloaded(Exception):
    """The queue is full; `retry_after_s` is when the samples that wait now should have been answered."""

    waiting: int
    limit: int
    retry_after_s: float

    def __str__(self) -> str:
        return f"{self.waiting} samples wait already, the limit is {self.limit}: try again later"


@dataclass(frozen=True)
class Prediction:
    """One view's row, and what it cost: time waited, time of the forward pass that it shared, and with how many."""

    row: Row
    queue_ms: float
    forward_ms: float
    batch_size: int


@dataclass
class _Waiting:
    view: Array
    run: RunBatch
    answer: asyncio.Future[Prediction]
    since: float = field(default_factory=time.perf_counter)


class Batcher:
    """The queue of one device. Models share it: a batch is the oldest sample's model, up to max_batch_size."""

    def __init__(self, max_batch_size: int, max_queue: int) -> None:
        self.max_batch_size = max_batch_size
        self.max_queue = max_queue
        self._waiting: deque[_Waiting] = deque()
        self._device = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
        self._running: asyncio.Task[None] | None = None
        self._seconds_per_sample = 0.0

    async def submit(self, views: Sequence[Array], run: RunBatch) -> list[Prediction]:
        """Predictions by `run`, in order. Raises Overloaded at once where the queue has no room for all of them."""
        if len(self._waiting) + len(views) > self.max_queue:
            wait = len(self._waiting) * self._seconds_per_sample
            raise Overloaded(len(self._waiting), self.max_queue, wait)
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(view, run, loop.create_future()) for view in views]
        self._waiting.extend(waiting)
        if self._running is None:
            self._running = asyncio.create_task(self._drain())
        return await asyncio.gather(*(item.answer for item in waiting))

    async def close(self) -> None:
        """Answer what waits, then let the device go."""
        if self._running is not None:
            await self._running
        self._device.shutdown()

    async def _drain(self) -> None:
        while batch := self._cut():
            await self._answer(batch)
        self._running = None

    def _cut(self) -> list[_Waiting]:
        """The next batch: the oldest sample and those after it for the same model, less those nobody waits for."""
        live = [item for item in self._waiting if not item.answer.done()]
        batch = [item for item in live if item.run == live[0].run][: self.max_batch_size]
        chosen = {id(item) for item in batch}
        self._waiting = deque(item for item in live if id(item) not in chosen)
        return batch

    async def _answer(self, batch: list[_Waiting]) -> None:
        """Run a batch; where it fails, run its halves, so that one bad sample fails alone."""
        started = time.perf_counter()
        try:
            rows = await self._on_device(batch)
        except Exception as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._answer(batch[:middle])
                await self._answer(batch[middle:])
            elif not batch[0].answer.done():
                batch[0].answer.set_exception(error)
            return
        seconds = time.perf_counter() - started
        self._seconds_per_sample = seconds / len(batch)
        for item, row in zip(batch, rows, strict=True):
            if not item.answer.done():
                queue_ms = 1e3 * (started - item.since)
                item.answer.set_result(Prediction(row, queue_ms, 1e3 * seconds, len(batch)))

    async def _on_device(self, batch: list[_Waiting]) -> list[Row]:
        views = [item.view for item in batch]
        return await asyncio.get_running_loop().run_in_executor(self._device, batch[0].run, views)
