"""A number of places of work, and the queues for them."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

from service.priority import Priority
from service.priority_share import PriorityShare

QUICK_S = 0.05  # what is expected to take longer has no business on an express slot


@dataclass(eq=False, slots=True)
class Claim:
    """Somebody's work. cost_s: how long it is expected to take; 0: nobody knows. turn: whether it is let in on an
    express slot, once it is; None where it need not wait.
    """

    claimant: str
    priority: Priority
    cost_s: float
    turn: asyncio.Future[bool] | None = None

    @property
    def quick(self) -> bool:
        return 0 < self.cost_s <= QUICK_S


class Slots:
    """A semaphore for those who share a resource, each of whom gets as much of its time as the others that wait.

    Bulk work gets the rest, and never starves. express: slots more, for quick work of those who hold no other, so that
    a photograph does not stand behind films however many there are, and however short.
    """

    def __init__(self, count: int, express: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = {False: count, True: express}
        self.clock = clock
        self._queues: dict[Priority, dict[str, deque[Claim]]] = {priority: {} for priority in Priority}
        self._share = PriorityShare()
        self._held: defaultdict[str, int] = defaultdict(int)

    def hold(self, priority: Priority, claimant: str = "", cost_s: float = 0.0) -> "Hold":
        """Wait for a slot, and keep it inside the block, which is told whether it is an express one. cost_s: how long
        that is expected to be."""
        return Hold(self, Claim(claimant, priority, cost_s))

    async def enter(self, claim: Claim) -> bool:
        """Wait for a slot. Whether it is an express one."""
        for express in (False, True):
            if self._free[express] and self._may_have(claim, express):
                self._take(claim, express)
                return express
        return await self._wait(claim)

    def leave(self, claim: Claim, express: bool, seconds: float) -> None:
        """Give the slot back that was kept for so long."""
        if claim.turn is not None:
            self._share.settle(claim.priority, claim.claimant, seconds - claim.cost_s)
        self._release(claim, express)

    async def _wait(self, claim: Claim) -> bool:
        claim.turn = asyncio.get_running_loop().create_future()
        queues = self._queues[claim.priority]
        queues.setdefault(claim.claimant, deque()).append(claim)
        try:
            return await claim.turn
        except asyncio.CancelledError:
            if claim.turn.cancelled():
                self._drop(claim)
            else:  # a slot was handed to it this moment
                self._release(claim, claim.turn.result())
            raise

    def _may_have(self, claim: Claim, express: bool) -> bool:
        return not express or (claim.quick and not self._held[claim.claimant])

    def _drop(self, claim: Claim) -> None:
        queue = self._queues[claim.priority].get(claim.claimant, deque())
        if claim in queue:
            queue.remove(claim)
        if not queue:
            self._queues[claim.priority].pop(claim.claimant, None)

    def _release(self, claim: Claim, express: bool) -> None:
        """It is done: let in those who wait and may have what is free now."""
        self._held[claim.claimant] -= 1
        if not self._held[claim.claimant]:
            del self._held[claim.claimant]
        self._free[express] += 1
        if any(self._queues.values()):
            for kind in self._free:
                self._hand_over(kind)

    def _hand_over(self, express: bool) -> None:
        while self._free[express] and (heir := self._next(express)) is not None:
            self._drop(heir)
            assert heir.turn is not None
            if not heir.turn.cancelled():
                self._take(heir, express)
                heir.turn.set_result(express)

    def _take(self, claim: Claim, express: bool) -> None:
        self._free[express] -= 1
        self._held[claim.claimant] += 1

    def _next(self, express: bool) -> Claim | None:
        """Of those at the heads of the queues; it is charged for its turn."""
        choice = self._share.next({priority: self._costs(priority, express) for priority in Priority})
        if choice is None:
            return None
        self._share.charge(choice)
        return self._queues[choice.priority][choice.claimant][0]

    def _costs(self, priority: Priority, express: bool) -> dict[str, float]:
        heads = {claimant: queue[0] for claimant, queue in self._queues[priority].items()}
        return {claimant: claim.cost_s for claimant, claim in heads.items() if self._may_have(claim, express)}


class Hold:
    """A slot for as long as a block lasts."""

    __slots__ = ("_claim", "_express", "_slots", "_started")

    def __init__(self, slots: Slots, claim: Claim) -> None:
        self._slots, self._claim = slots, claim

    async def __aenter__(self) -> bool:
        self._express = await self._slots.enter(self._claim)
        self._started = self._slots.clock()
        return self._express

    async def __aexit__(self, *exc_info: object) -> None:
        self._slots.leave(self._claim, self._express, self._slots.clock() - self._started)
