"""A number of places of work, and the queue for them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from service.fair_share import FairShare
from service.priority import SHARES, Priority


class Slots:
    """A semaphore with a queue for each priority, where the interactive one goes first and bulk work never starves."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._queues: dict[Priority, deque[asyncio.Future[None]]] = {priority: deque() for priority in Priority}
        self._share: FairShare[Priority] = FairShare(SHARES)

    @asynccontextmanager
    async def hold(self, priority: Priority) -> AsyncIterator[None]:
        """Wait for a slot, and keep it inside the block."""
        await self._acquire(priority)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, priority: Priority) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues[priority].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):  # a slot was about to be handed to it
                    self._queues[priority].remove(turn)
            else:
                self._release()
            raise

    def _release(self) -> None:
        """Hand the slot to the next who waits."""
        while waiting := {priority: 1.0 for priority, queue in self._queues.items() if queue}:
            priority = self._share.next(waiting)
            turn = self._queues[priority].popleft()
            if not turn.cancelled():
                self._share.charge(priority, waiting)
                turn.set_result(None)
                return
        self._free += 1
