"""How long a process has owed an answer, less what is not its fault."""

import time
from collections.abc import Callable

from service.engine.cpu_time import TICK_S, cpu_time_s, thread_states

LOOK_S = 0.25  # from one look at a process to the next


class Patience:
    """Look every LOOK_S.

    waited_s: for the answer, without the time in which the process wanted a core and did not get it, or in which the
    one that looks was held up itself. idle_s: of that, the last time in which the process computed nothing: it waits
    for what does not come, or is stopped. Where the system does not tell, a process is taken to compute.
    """

    def __init__(
        self,
        pid: int | None,
        clock: Callable[[], float] = time.monotonic,
        cpu_time: Callable[[int | None], float | None] = cpu_time_s,
        states: Callable[[int | None], set[str]] = thread_states,
    ) -> None:
        self.waited_s = self.idle_s = 0.0
        self._pid, self._clock, self._cpu_time, self._states = pid, clock, cpu_time, states
        self._looked, self._cpu = clock(), cpu_time(pid)

    def look(self) -> None:
        now, cpu, states = self._clock(), self._cpu_time(self._pid), self._states(self._pid)
        gap = min(now - self._looked, 2 * LOOK_S)
        computed = gap if cpu is None or self._cpu is None else cpu - self._cpu
        self._looked, self._cpu = now, cpu
        starved = "R" in states and computed < gap / 2
        self.waited_s += 0.0 if starved else gap
        self.idle_s = 0.0 if computed >= TICK_S or states & {"R", "D"} else self.idle_s + gap
