"""How busy other programs kept the machine while something was measured."""

import time
from pathlib import Path

HUNDREDTHS = 100  # of a second, in which Linux counts
STAT = Path("/proc/stat")
IDLE, WAITING, GUEST = 3, 4, 8


class Busyness:
    """Use as a context manager; then `others` is how many cores, on average, did not work for this process.

    -1 where the system does not tell.
    """

    others = -1.0

    def __enter__(self) -> "Busyness":
        self._started, self._all, self._own = time.perf_counter(), _busy_s(), time.process_time()
        return self

    def __exit__(self, *exc_info: object) -> None:
        elapsed = time.perf_counter() - self._started
        if STAT.exists():
            self.others = max(0.0, (_busy_s() - self._all - (time.process_time() - self._own)) / elapsed)


def _busy_s() -> float:
    """Seconds of all cores together since the start, those included that a hypervisor took."""
    if not STAT.exists():
        return 0.0
    counts = list(map(int, STAT.read_text().splitlines()[0].split()[1:]))
    return (sum(counts[:GUEST]) - counts[IDLE] - counts[WAITING]) / HUNDREDTHS
