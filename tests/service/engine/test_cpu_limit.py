import os
from pathlib import Path

import pytest

from service.engine.cpu_limit import cpu_limit


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def filesystem(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


V2 = "proc/self/cgroup", "0::/"
V1 = "proc/self/cgroup", "5:memory:/docker/f00\n4:cpu,cpuacct:/docker/f00\n0::/system"

CASES: dict[str, tuple[dict[str, str], int]] = {
    "no control groups": ({}, 8),
    "v2, two cores": (dict([V2, ("sys/fs/cgroup/cpu.max", "200000 100000")]), 2),
    "v2, two and a half are two whole ones": (dict([V2, ("sys/fs/cgroup/cpu.max", "250000 100000")]), 2),
    "v2, less than one is one": (dict([V2, ("sys/fs/cgroup/cpu.max", "50000 100000")]), 1),
    "v2, no quota": (dict([V2, ("sys/fs/cgroup/cpu.max", "max 100000")]), 8),
    "v2, a quota beyond the affinity": (dict([V2, ("sys/fs/cgroup/cpu.max", "6400000 100000")]), 8),
    "v2, the least on the way up": (
        {
            "proc/self/cgroup": "0::/pods/web",
            "sys/fs/cgroup/pods/cpu.max": "300000 100000",
            "sys/fs/cgroup/pods/web/cpu.max": "400000 100000",
        },
        3,
    ),
    "v1, in a container that sees its own group as the root": (
        dict([V1, ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000"), ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")]),
        4,
    ),
    "v1, on the host, under the double name": (
        dict(
            [
                V1,
                ("sys/fs/cgroup/cpu,cpuacct/docker/f00/cpu.cfs_quota_us", "150000"),
                ("sys/fs/cgroup/cpu,cpuacct/docker/f00/cpu.cfs_period_us", "50000"),
            ]
        ),
        3,
    ),
    "v1, no quota": (
        dict([V1, ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1"), ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")]),
        8,
    ),
}


@pytest.mark.parametrize(("files", "expected"), CASES.values(), ids=CASES)
def test_the_least_limit_counts(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    assert cpu_limit(filesystem(tmp_path, files)) == expected


def test_without_affinities_the_cores_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cpu_limit(tmp_path) == 6


def test_this_machine_has_at_least_one() -> None:
    assert 1 <= cpu_limit() <= 8
