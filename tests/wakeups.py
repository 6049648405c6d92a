"""How often processes sleep and wake: what polls does so without end, however fast the machine is."""

from pathlib import Path

import psutil


def wakeups(processes: list[psutil.Process]) -> int:
    """Voluntary context switches of all threads of the processes since they began."""
    statuses = (status.read_text() for one in processes for status in Path(f"/proc/{one.pid}/task").glob("*/status"))
    lines = (line for status in statuses for line in status.splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
