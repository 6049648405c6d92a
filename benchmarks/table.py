"""A file of rows, one for each candidate of each case on each machine, that later calls add to."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.recording import show

MOST_ATTEMPTS = 2  # the first may only have met the end of the call's time
DETAILS = ("date", "driver")  # which may differ between rows that are of the same machine
Row = dict[str, Any]
Derive = Callable[[list[Row]], None]


def nothing(rows: list[Row]) -> None:
    """For tables whose rows say nothing of each other."""


@dataclass(frozen=True)
class Table:
    """about: machine and versions, the first columns of every row. derive: fills columns of the rows of a case that
    depend on the others. What was begun is noted in a file beside, for a process that is killed writes no row.
    """

    path: Path
    about: Mapping[str, Any]
    derive: Derive = nothing

    def rows(self) -> list[Row]:
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file))

    def of_case(self, case: Mapping[str, Any], rows: Sequence[Row]) -> list[Row]:
        """Those of this case on this machine with these versions."""
        same = {key: value for key, value in self.about.items() if key not in DETAILS}
        wanted = {key: str(value) for key, value in {**same, **case}.items()}
        return [row for row in rows if wanted.items() <= row.items()]

    def known(self, case: Mapping[str, Any]) -> set[str]:
        """Candidates that have a row."""
        return {row["candidate"] for row in self.of_case(case, self.rows())}

    def add(self, case: Mapping[str, Any], row: Row) -> None:
        """A reader finds the old file or the new one, never a part. Columns that are new stay empty in older rows."""
        rows = [*self.rows(), {key: str(value) for key, value in {**self.about, **case, **row}.items()}]
        self.derive(self.of_case(case, rows))
        columns = dict.fromkeys(column for each in rows for column in each)
        partial = self.path.with_suffix(".partial")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(self.path)
        show(rows[-1])

    def begin(self, case: Mapping[str, Any], candidate: str) -> None:
        with self._attempts.open("a") as file:
            file.write(self._key(case, candidate) + "\n")

    def exhausted(self, case: Mapping[str, Any], candidate: str) -> bool:
        """Whether the process ended in the middle of it, so often that it is to blame."""
        lines = self._attempts.read_text().splitlines() if self._attempts.exists() else []
        return Counter(lines)[self._key(case, candidate)] >= MOST_ATTEMPTS

    @property
    def _attempts(self) -> Path:
        return self.path.with_suffix(".attempts.partial")

    def _key(self, case: Mapping[str, Any], candidate: str) -> str:
        machine = [self.about.get(key) for key in ("device", "versions")]
        return json.dumps([*machine, *map(str, case.values()), candidate])
