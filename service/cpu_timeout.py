"""A time limit for what another process does, which is not held against it where the machine gave it no core."""

import asyncio
from types import TracebackType
from typing import Self

from service.engine.cpu_time import cpu_time_s, thread_states

SHORTEST_S = 0.1  # to be given more: the lack is made up for in ever smaller steps


class CpuTimeout:
    """As asyncio.timeout. Where the time is over, and the process wants a core and had less than half of one, it is
    given what it lacks, again and again: whoever waits for it decides for how long.
    """

    def __init__(self, pid: int | None, timeout_s: float) -> None:
        self._pid, self._timeout_s = pid, timeout_s
        self._loop = asyncio.get_running_loop()
        self._timeout = asyncio.timeout(None)
        self._before = cpu_time_s(pid)
        self._began = self._loop.time()

    def expired(self) -> bool:
        return self._timeout.expired()

    async def __aenter__(self) -> Self:
        self._timer = self._loop.call_later(self._timeout_s, self._judge)
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._timeout.__aexit__(kind, error, at)

    def _judge(self) -> None:
        lacking_s = self._lacking_s()
        if lacking_s:
            self._timer = self._loop.call_later(lacking_s, self._judge)
        else:
            self._timeout.reschedule(self._loop.time())

    def _lacking_s(self) -> float:
        """Of CPU time, where that is the machine's fault; else 0."""
        now = cpu_time_s(self._pid)
        if now is None or self._before is None or "R" not in thread_states(self._pid):
            return 0.0
        used_s, passed_s = now - self._before, self._loop.time() - self._began
        starved = used_s < min(self._timeout_s, passed_s / 2)
        return max(self._timeout_s - used_s, SHORTEST_S) if starved else 0.0
