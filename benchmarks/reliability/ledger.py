"""Results by row, in CSV: a proof that is run again replaces what it found before."""

import csv
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.recording import RESULTS, machine
from benchmarks.reliability.finding import Finding

PATH = RESULTS / "reliability.csv"
Record = dict[str, str]


def records(path: Path = PATH) -> list[Record]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def found(row: str, findings: Sequence[Finding], began: float, load_before: float) -> list[Record]:
    """began: when the proof did, on the clock of `perf_counter`. load_before: the machine's, by the minute."""
    about = {"seconds": f"{time.perf_counter() - began:.0f}", "load_before": f"{load_before:.1f}", **machine("cpu")}
    return [
        {
            "row": row,
            "measured": finding.measured,
            "mark": finding.mark,
            "figure": f"{finding.figure:.6g}",
            "passed": str(finding.passed).lower() if finding.is_judged else "",
            **about,
        }
        for finding in findings
    ]


def replace(row: str, new: Sequence[Record], order: Mapping[str, object], path: Path = PATH) -> None:
    """Put a row's records in the place of its old ones. order: of the rows."""
    kept = [record for record in records(path) if record["row"] != row] + list(new)
    ranks = list(order)
    kept.sort(key=lambda record: ranks.index(record["row"]) if record["row"] in ranks else len(ranks))
    unfinished = path.with_suffix(".new")
    with unfinished.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(new[0]))
        writer.writeheader()
        writer.writerows(kept)
    os.replace(unfinished, path)
