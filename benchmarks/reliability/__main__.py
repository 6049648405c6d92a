"""python -m benchmarks.reliability [R1 R3 ...]

Without names, those that have no result yet. Results are rows of benchmarks/results/reliability.csv, kept as soon as
a proof ends, and a table in benchmarks/README.md; the status is 1 where a mark was missed.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.reliability import ledger, summary
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.finding import Finding
from benchmarks.reliability.rows import ROWS


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; none: those without a result")
    parser.add_argument("--scale", type=float, default=1.0, help="of all lengths and counts but the soak's")
    parser.add_argument("--soak-minutes", type=float, default=10.0)
    parser.add_argument("--data", type=Path, help="folder of real files by modality, used beside made ones")
    parser.add_argument("--out", type=Path, default=ledger.PATH, help="where results are kept")
    chosen = parser.parse_args(given)
    if unknown := set(chosen.rows) - ROWS.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}, only {', '.join(ROWS)}")
    return chosen


def prove(name: str, conditions: Conditions, path: Path) -> list[Finding]:
    began, load_before = time.perf_counter(), os.getloadavg()[0]
    findings = ROWS[name](conditions)
    ledger.replace(name, ledger.found(name, findings, began, load_before), ROWS, path)
    if path == ledger.PATH:
        summary.write(ledger.records())
    return findings


def show(name: str, findings: Sequence[Finding]) -> None:
    for finding in findings:
        verdict = ("passed" if finding.passed else "MISSED") if finding.is_judged else ""
        sys.stdout.write(f"{name:4}{verdict:8}{finding.figure:>12.6g}  {finding.mark:12}{finding.measured}\n")
    sys.stdout.flush()


def main() -> int:
    chosen = arguments()
    known = {record["row"] for record in ledger.records(chosen.out)}
    names = chosen.rows or [name for name in ROWS if name not in known]
    conditions = Conditions(chosen.scale, 60 * chosen.soak_minutes, chosen.data)
    missed = 0
    for name in names:
        findings = prove(name, conditions, chosen.out)
        show(name, findings)
        missed += sum(not finding.passed for finding in findings)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
