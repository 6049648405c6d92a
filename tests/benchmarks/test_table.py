"""A table of rows that later calls, other machines and newer columns are added to."""

from pathlib import Path

import pytest

from benchmarks.bench_backbone import against_the_best_alternative
from benchmarks.bench_depthwise_conv2d import against_the_faster_library
from benchmarks.table import Row, Table

CASE = {"problem": "p"}


def table(path: Path, device: str = "one", date: str = "2026-01-01") -> Table:
    return Table(path / "t.csv", {"date": date, "device": device, "versions": "1"})


def test_rows_of_another_machine_are_not_known(tmp_path: Path) -> None:
    table(tmp_path).add(CASE, {"candidate": "a", "ms": 1})
    assert table(tmp_path, date="2027-01-01").known(CASE) == {"a"}
    assert table(tmp_path, "other").known(CASE) == set()
    assert table(tmp_path).known({"problem": "q"}) == set()


def test_a_driver_does_not_make_another_machine(tmp_path: Path) -> None:
    about = {"device": "gpu", "versions": "1"}
    Table(tmp_path / "t.csv", {**about, "driver": "580.1"}).add(CASE, {"candidate": "a"})
    assert Table(tmp_path / "t.csv", {**about, "driver": "580.2"}).known(CASE) == {"a"}


def test_new_columns_stay_empty_in_older_rows(tmp_path: Path) -> None:
    table(tmp_path).add(CASE, {"candidate": "a", "ms": 1})
    table(tmp_path).add(CASE, {"candidate": "b", "ms": 2, "note": "new, and with a comma"})
    first, second = table(tmp_path).rows()
    assert (first["ms"], first["note"]) == ("1", "")
    assert second["note"] == "new, and with a comma"


@pytest.mark.parametrize("derive", [against_the_best_alternative, against_the_faster_library])
def test_ratios_are_empty_where_everything_failed(derive) -> None:  # type: ignore[no-untyped-def]
    rows: list[Row] = [{"candidate": "eager", "note": "wrong"}, {"candidate": "torch, served", "over_eager": ""}]
    derive(rows)
    assert not any(row.get("over_best_alternative") or row.get("ratio") for row in rows)


def test_ours_is_compared_with_the_best_of_the_others() -> None:
    rows: list[Row] = [
        {"candidate": "eager", "over_eager": "1.000"},
        {"candidate": "torch, served, bfloat16", "over_eager": "6.000"},
        {"candidate": "torch.compile max-autotune, bfloat16", "over_eager": "3.000"},
        {"candidate": "torch.compile max-autotune, channels last, bfloat16", "note": "OutOfMemoryError: full"},
    ]
    against_the_best_alternative(rows)
    assert [row.get("over_best_alternative") for row in rows] == ["0.33", "2.00", "1.00", None]


def test_the_faster_layout_of_the_library_counts() -> None:
    rows: list[Row] = [
        {"candidate": "library, contiguous", "over_library": "1.000"},
        {"candidate": "library, channels last", "over_library": "2.000"},
        {"candidate": "sliding", "over_library": "8.000"},
    ]
    against_the_faster_library(rows)
    assert [row["ratio"] for row in rows] == ["0.50", "1.00", "4.00"]
