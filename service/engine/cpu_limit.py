"""How many CPU cores this process may use: the least of its affinity and of the quotas of its control groups."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

FILESYSTEM = Path("/")


def cpu_limit(root: Path = FILESYSTEM) -> int:
    """Whole cores, at least 1. A thread beyond a quota would be held up, and the others would wait for it."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([available, *(int(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """In cores: of the process's group and of every group around it, under both versions of control groups.

    Inside a container the listed path may be the host's, which is not there; the root of the mount is the container's.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        quota, mounts = _VERSIONS["v1" if controllers else "v2"]
        if not controllers or "cpu" in controllers.split(","):
            group = PurePosixPath(path.lstrip("/"))
            for mount in mounts:
                for folder in (group, *group.parents):
                    yield from quota(root / "sys/fs/cgroup" / mount / folder)


def _quota_v2(folder: Path) -> Iterator[float]:
    quota, _, period = _read(folder / "cpu.max").strip().partition(" ")
    if quota and quota != "max":
        yield int(quota) / int(period or 100_000)


def _quota_v1(folder: Path) -> Iterator[float]:
    quota, period = (_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    if quota and period and int(quota) > 0:  # -1 is no quota
        yield int(quota) / int(period)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


_VERSIONS: dict[str, tuple[Callable[[Path], Iterator[float]], tuple[str, ...]]] = {
    "v1": (_quota_v1, ("cpu", "cpu,cpuacct")),
    "v2": (_quota_v2, ("", "unified")),
}
