"""A time limit for what another process does, which is not held against it where the machine gave it no core."""

import asyncio
from types import TracebackType
from typing import Self

from service.engine.cpu_time import cpu_time_s, thread_states

SHORTEST_S = 0.1  # to be given more: the lack is made up for in ever smaller steps


class CpuTimeout:
    """As asyncio.timeout. Where the time is over, and the process wants a core and had less than half of one, it is
    given what it lacks, again and again: whoever waits for it decides for how long.

    It cancels the task that entered it, and answers for that alone: TimeoutError leaves the block, unless somebody else
    has cancelled the task as well.
    """

    def __init__(self, pid: int | None, timeout_s: float) -> None:
        self._pid, self._timeout_s = pid, timeout_s
        self._expired = False

    def expired(self) -> bool:
        return self._expired

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit belongs to a task, and there is none")
        self._task, self._cancelled_before = task, task.cancelling()
        self._loop = task.get_loop()
        self._before, self._began = cpu_time_s(self._pid), self._loop.time()
        self._timer = self._loop.call_at(self._began + self._timeout_s, self._judge)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._expired and self._task.uncancel() <= self._cancelled_before and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _judge(self) -> None:
        lacking_s = self._lacking_s()
        if lacking_s:
            self._timer = self._loop.call_later(lacking_s, self._judge)
        else:
            self._expired = True
            self._task.cancel()

    def _lacking_s(self) -> float:
        """Of CPU time, where that is the machine's fault; else 0."""
        now = cpu_time_s(self._pid)
        if now is None or self._before is None or "R" not in thread_states(self._pid):
            return 0.0
        used_s, passed_s = now - self._before, self._loop.time() - self._began
        starved = used_s < min(self._timeout_s, passed_s / 2)
        return max(self._timeout_s - used_s, SHORTEST_S) if starved else 0.0
