"""What the tables of a GPU say of the goals, in a few lines.

    python -m benchmarks.goals

From results of $BENCHMARK_RESULTS, or else of benchmarks/results. The goals, on an H100: 13 x 13 in bfloat16 on maps of
the networks, batch 128, 3 times the best of the library and 0.6 of the roofline; 31 x 31 on (64, 384, 64, 64) 10 times;
network T, batch 128, 3.5 times eager in bfloat16, 2.5 times torch.compile, half of the roofline; a batch of one below
0.5 ms.
"""

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.recording import RESULTS

TABLES = ("backbone.csv", "depthwise_conv2d.csv", "block.csv", "capture.csv", "forms.csv")
Row = dict[str, str]


def rows(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if "NVIDIA" in row["device"]]


def counted(name: str, found: list[Row]) -> Iterator[str]:
    """How many candidates have a time, and why others have none."""
    failed = [row for row in found if row.get("note")]
    yield f"{name}: {len(found) - len(failed)} measured, {len(failed)} not"
    notes = dict.fromkeys(f"  {row['candidate']}: {row['note'][:120]}" for row in failed)
    yield from list(notes)[:5]


def timed(found: Iterable[Row]) -> list[Row]:
    return [row for row in found if row["ms"]]


def convolutions(found: list[Row]) -> Iterator[str]:
    """The best of ours on each problem that has a goal."""
    for problem in dict.fromkeys(row["problem"] for row in found):
        if not (problem.startswith("128x") and "K13 bf" in problem or problem == "64x384x64x64 K31 bfloat16"):
            continue
        ours = timed(row for row in found if row["problem"] == problem and not row["candidate"].startswith("library"))
        if ours:
            best = min(ours, key=lambda row: float(row["ms"]))
            yield f"  {problem}: {best['candidate']}, {best['ratio']} times the library, roofline {best['roofline']}"


def networks(found: list[Row]) -> Iterator[str]:
    """Network T in bfloat16, every candidate."""
    for row in timed(found):
        if row["variant"] == "t" and row["precision"] == "bfloat16":
            shares = f"{row['over_best_alternative']} of the best alternative, roofline {row['roofline']}"
            yield f"  t, {row['batch']}: {row['candidate']}: {row['ms']} ms, {shares}"


def main() -> None:
    details = {"backbone.csv": networks, "depthwise_conv2d.csv": convolutions}
    for name in TABLES:
        found = rows(RESULTS / name)
        lines = [*counted(name, found), *(details[name](found) if name in details else ())]
        sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
