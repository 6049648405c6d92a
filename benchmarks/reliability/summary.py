"""The table of proofs in benchmarks/README.md, between its marks."""

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.recording import RESULTS
from benchmarks.reliability.ledger import Record
from benchmarks.reliability.rows import ROWS

README = RESULTS.parent / "README.md"
BEGIN, END = "<!-- reliability: begin -->\n", "<!-- reliability: end -->\n"


def write(records: Sequence[Record], page: Path = README) -> None:
    before, rest = page.read_text().split(BEGIN)
    page.write_text(before + BEGIN + table(records) + END + rest.split(END)[1])


def table(records: Sequence[Record]) -> str:
    lines = ["| row | what is proven | marks met | missed | seconds | load before |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(_line(name, [r for r in records if r["row"] == name]) for name in ROWS)]) + "\n"


def _line(name: str, records: Sequence[Record]) -> str:
    judged = [record for record in records if record["passed"]]
    missed = [record for record in judged if record["passed"] == "false"]
    told = "; ".join(f"{record['measured']}: {record['figure']} ({record['mark']})" for record in missed)
    met = f"{len(judged) - len(missed)} of {len(judged)}" if judged else "not run yet"
    seconds, load = (records[0]["seconds"], records[0]["load_before"]) if records else ("", "")
    return f"| {name} | {_purpose(name)} | {met} | {told} | {seconds} | {load} |"


def _purpose(name: str) -> str:
    """As the first line of its module has it, less the name of the row."""
    text = sys.modules[ROWS[name].__module__].__doc__ or ""
    return text.splitlines()[0].partition(": ")[2]
