"""Who is let in: a refusal at the door costs next to nothing, and work that would wait for too long is not begun."""

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from service.priority import Priority

BULK_PART = 0.75  # of every bound: a flood of bulk work leaves room for those who wait for an answer


@dataclass(eq=False)
class Overloaded(Exception):
    """A bound is reached, named by `reason`; `retry_after_s` is when there should be room."""

    waiting: float
    limit: float
    retry_after_s: float
    reason: str = "items"

    def __str__(self) -> str:
        return f"{DETAILS[self.reason].format(self.waiting, self.limit)}: retry in {math.ceil(self.retry_after_s)} s"


DETAILS = {
    "items": "the queue is full: {:g} samples, the limit is {:g}",
    "bytes": "the queue is full: {:.0f} bytes, the limit is {:.0f}",
    "wait": "the predicted wait is {:.1f} s, the limit is {:.1f} s",
}


@dataclass(slots=True)  # not frozen, which would make it several times slower
class Load:
    """What a request takes while it is served. decode_s, device_s: predicted time of a decode worker and the device."""

    items: float = 0
    bytes: float = 0
    decode_s: float = 0.0
    device_s: float = 0.0

    def __iadd__(self, other: "Load") -> "Load":
        self.items += other.items
        self.bytes += other.bytes
        self.decode_s += other.decode_s
        self.device_s += other.device_s
        return self

    def __sub__(self, other: "Load") -> "Load":
        return Load(
            self.items - other.items,
            self.bytes - other.bytes,
            self.decode_s - other.decode_s,
            self.device_s - other.device_s,
        )


@dataclass(frozen=True)
class Bounds:
    """Of all that is admitted and not answered: samples, bytes, and the seconds that the last one waits."""

    items: float
    bytes: float = math.inf
    wait_s: float = math.inf


class Reservation:
    """A part of what is bounded, until it is released. Use as a context manager."""

    def __init__(self, load: Load, change: Callable[[Load], None]) -> None:
        self.load = load
        self._change = change
        change(load)

    def become(self, load: Load) -> None:
        """More is known now, or less is left to do."""
        self._change(load - self.load)
        self.load = load

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.become(Load())


@dataclass
class Admission:
    """The ledger of what is admitted and not answered yet, `load`. decode_workers: how many decode at a time.

    The stages work at the same time, so the slower one decides how long a request waits.
    """

    bounds: Bounds
    decode_workers: int = 1
    load: Load = field(default_factory=Load, init=False)
    _loads: defaultdict[Priority, Load] = field(default_factory=lambda: defaultdict(Load), init=False)

    def predicted_wait_s(self, priority: Priority = Priority.INTERACTIVE) -> float:
        """How long one more request of this priority would wait: bulk work waits for all, others for each other."""
        ahead = self.load if priority is Priority.BULK else self._loads[priority]
        return max(0.0, ahead.decode_s / self.decode_workers, ahead.device_s)

    def admit(self, load: Load, priority: Priority = Priority.INTERACTIVE, patience_s: float = math.inf) -> Reservation:
        """Raises Overloaded where a bound would be passed, or the wait would outlast the client's patience."""
        self.check(load, priority, patience_s)
        return Reservation(load, lambda change: self._add(priority, change))

    def check(self, load: Load, priority: Priority = Priority.INTERACTIVE, patience_s: float = math.inf) -> None:
        """As `admit`, but takes nothing."""
        part = BULK_PART if priority is Priority.BULK else 1.0
        held, wait_s = self.load, self.predicted_wait_s(priority)
        self._room("items", held.items, load.items, part * self.bounds.items, wait_s)
        self._room("bytes", held.bytes, load.bytes, part * self.bounds.bytes, wait_s)
        longest_s = min(part * self.bounds.wait_s, patience_s)
        if wait_s > longest_s:
            raise Overloaded(wait_s, longest_s, wait_s - longest_s, "wait")

    def _room(self, reason: str, held: float, more: float, limit: float, wait_s: float) -> None:
        """The wait until there is room is the time that the surplus over the limit takes to be worked off."""
        surplus = held + more - limit
        if surplus > 0:
            raise Overloaded(held, limit, wait_s * min(1.0, surplus / held) if held else 0.0, reason)

    def _add(self, priority: Priority, change: Load) -> None:
        self.load += change
        self._loads[priority] += change
