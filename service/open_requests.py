"""The requests that are being served, and how they come to an end when the server does."""

import asyncio
import time

from service.call import Call


class OpenRequests:
    """Which calls are open.

    leaving: the server was told to end, and probes say so. draining: no more calls are let in.
    """

    def __init__(self) -> None:
        self.leaving = self.draining = False
        self._open: set[Call] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def open_calls(self) -> int:
        return len(self._open)

    def enter(self, call: Call) -> None:
        self._open.add(call)
        self._idle.clear()

    def leave(self, call: Call) -> None:
        self._open.discard(call)
        if not self._open:
            self._idle.set()

    async def drain(self, timeout_s: float) -> None:
        """Let nobody in, and wait until the last open call is answered; what is not done in time gets 504."""
        self.draining = True
        self.hurry(timeout_s)
        await self._idle.wait()

    def hurry(self, timeout_s: float) -> None:
        """Every open call is to be answered within so many seconds."""
        for call in self._open:
            call.hurry(time.monotonic() + timeout_s)
