"""How fast a core is just now: where machines are shared it changes by a half within minutes."""

import os
import time

LOOPS, TIMES = 20_000, 15


def core_speed(core: int) -> float:
    """Passes of a plain loop, in millions a second: the median of many short runs on that core, which must be idle."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return LOOPS / sorted(_seconds() for _ in range(TIMES))[TIMES // 2] / 1e6
    finally:
        os.sched_setaffinity(0, before)


def _seconds() -> float:
    start = time.perf_counter()
    for _ in range(LOOPS):
        pass
    return time.perf_counter() - start
