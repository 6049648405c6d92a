"""What a process computes, as the system counts it: on Linux; elsewhere nobody knows."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

TICK_S = 0.01  # below it, a process has computed nothing worth the name


def cpu_time_s(pid: int | None) -> float | None:
    """Seconds of CPU that all threads of a process have used. None where nobody knows, or there is no such process."""
    if sys.platform != "linux" or pid is None:
        return None
    try:
        return time.clock_gettime(~pid << 3 | 2)  # the number of the clock that counts them
    except OSError:
        return None


def thread_states(pid: int | None) -> set[str]:
    """Of all its threads, as /proc names them: R computes or waits for a core, D for a disk, S for what may come."""
    return set(_states(pid)) if sys.platform == "linux" and pid is not None else set()


def _states(pid: int) -> Iterator[str]:
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            yield stat.read_text().rpartition(")")[2].split()[0]
        except OSError:  # the thread has ended this moment
            continue
