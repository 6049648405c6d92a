"""Benchmarks that go on where the last call stopped: what has rows of this device and these versions is done."""

import csv
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmarks.recording import RESULTS, append_rows


def run_remaining(
    file: str,
    about: Mapping[str, Any],
    problems: Iterable[object],
    measure: Callable[[Any], list[dict[str, Any]]],
    minutes: float,
) -> None:
    """Measure one problem after the other until the time is up, and append the rows of each as they come."""
    done, deadline = measured(file, about), time.monotonic() + 60 * minutes
    for problem in dict.fromkeys(problems):
        if str(problem) in done:
            continue
        if time.monotonic() > deadline:
            return
        append_rows(file, [{**about, "problem": str(problem), **row} for row in measure(problem)])


def measured(file: str, about: Mapping[str, Any]) -> set[str]:
    path = RESULTS / file
    if not path.exists():
        return set()
    with path.open(newline="") as lines:
        known = [row for row in csv.DictReader(lines) if all(row[key] == about[key] for key in ("device", "versions"))]
    return {row["problem"] for row in known}
