"""Files that a table lists, each with any number of labels."""

import csv
import random
from collections.abc import Mapping
from pathlib import Path

from training.dataset_error import DatasetError
from training.example import Example
from training.splits import SPLIT_NAMES, Splits, completed

COLUMNS = ("file", "labels")
SEPARATOR = ";"

Row = Mapping[str, str]


def listed_splits(table: Path, seed: int = 0) -> Splits:
    """Read a CSV with the columns `file`, relative to the table, and `labels`, separated by semicolons; maybe `split`.

    A split that no row names is drawn from the training files, a tenth of them, by `seed`. Raises DatasetError.
    """
    rows = list(_rows(table))
    labels = tuple(sorted({label for row in rows for label in _labels(row)}))
    if not labels:
        raise DatasetError(f"{table} names no label: write at least one into the column 'labels'")
    given: dict[str, list[Example]] = {name: [] for name in SPLIT_NAMES}
    for number, row in enumerate(rows, start=2):
        path = table.parent / row["file"]
        if not path.is_file():
            raise DatasetError(f"{table}, line {number}: there is no file {path}")
        ids = tuple(sorted(labels.index(label) for label in set(_labels(row))))
        given[_split(table, number, row)].append(Example(path, ids))
    return completed(labels, given, seed, _tenth, multi_label=True)


def _rows(table: Path) -> list[Row]:
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, restval="")
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise DatasetError(
                f"{table} has no column {', '.join(missing)}: expected a header such as file,labels and rows such as "
                "street.wav,siren;engine"
            )
        return list(reader)


def _labels(row: Row) -> list[str]:
    return [label.strip() for label in row["labels"].split(SEPARATOR) if label.strip()]


def _split(table: Path, number: int, row: Row) -> str:
    said = (row.get("split") or "train").strip().lower()
    for name, aliases in SPLIT_NAMES.items():
        if said in aliases:
            return name
    raise DatasetError(f"{table}, line {number}: the split is {said!r}, expected one of {', '.join(SPLIT_NAMES)}")


def _tenth(examples: list[Example], rng: random.Random) -> tuple[list[Example], list[Example]]:
    """Held-out and remaining examples. Classes are not told apart: an example may be of several."""
    held = set(rng.sample(range(len(examples)), max(1, round(0.1 * len(examples))))) if len(examples) > 1 else set()
    return [e for i, e in enumerate(examples) if i in held], [e for i, e in enumerate(examples) if i not in held]
