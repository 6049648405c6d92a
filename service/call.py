"""What is known of the request that is being served, wherever work is done for it.

`Deadlines` sets it, and it follows the request into the tasks that are started for it.
"""

import asyncio
import math
from contextvars import ContextVar
from dataclasses import dataclass

from service.admission import Reservation
from service.priority import Priority


@dataclass(eq=False)
class Call:
    """deadline: on the monotonic clock, kept by `timer`. body_deadline: the same of the body, while it is awaited.

    path: the URL's. place: in the queue, kept for the request's first input. model: by its name, once it is chosen.
    """

    path: str = ""
    priority: Priority = Priority.INTERACTIVE
    deadline: float = math.inf
    body_deadline: float = math.inf
    timer: asyncio.Timeout | None = None
    place: Reservation | None = None
    model: str | None = None

    def take_place(self) -> Reservation | None:
        """The place that the gate kept, the first time only."""
        place, self.place = self.place, None
        return place

    def hurry(self, deadline: float) -> None:
        """An answer is wanted by then, if not before."""
        self.deadline = min(self.deadline, deadline)
        self._set_timer()

    def await_body(self, deadline: float) -> None:
        """The body is to come by then; infinity: it has come."""
        self.body_deadline = deadline
        self._set_timer()

    def _set_timer(self) -> None:
        if self.timer is not None and not self.timer.expired():
            self.timer.reschedule(min(self.deadline, self.body_deadline))


CURRENT_CALL: ContextVar[Call | None] = ContextVar("call", default=None)


def current_call() -> Call:
    """The request's, or outside of any an unhurried one."""
    return CURRENT_CALL.get() or Call()
