"""A comparison keeps what it measured, whatever a candidate does; the next call does not repeat it."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import comparison
from benchmarks.clock import Run, Time, on_host
from benchmarks.comparison import DEVICE_LOST, Measured, Trial, compare_remaining
from benchmarks.deadline import Deadline
from benchmarks.table import Row, Table

ABOUT = {"date": "2026-01-01", "device": "toy", "versions": "1"}
CASE = {"problem": "p"}
RIGHT, WRONG = torch.ones(3), torch.ones(3) * 1.5


def gives(output: Tensor) -> Run:
    return lambda: output


def fails(error: Exception) -> Run:
    def run() -> Tensor:
        raise error

    return run


class Toy:
    tolerance = 1e-3

    def __init__(self, prepares: dict[str, Callable[[], Run]]) -> None:
        self.prepares = prepares

    def prepare(self, candidate: str) -> Run:
        return self.prepares[candidate]()

    def error(self, output: Tensor) -> float:
        return (output - 1).abs().max().item()


def trial(prepares: dict[str, Callable[[], Run]]) -> Trial:
    def columns(measured: Measured) -> Row:
        return {"ms": f"{measured.time.ms:.3f}", "ratio": measured.ratio()}

    return Trial(CASE, list(prepares), partial(Toy, prepares), on_host, columns, seconds=0.0)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path / "toy.csv", ABOUT)


def measured(table: Table, prepares: dict[str, Callable[[], Run]], minutes: float = 1.0) -> dict[str, Row]:
    compare_remaining(table, [trial(prepares)], Deadline(minutes))
    return {row["candidate"]: row for row in table.rows()}


def test_every_candidate_has_a_time_and_a_ratio_to_the_first(table: Table) -> None:
    def slowly() -> Tensor:
        time.sleep(0.01)
        return RIGHT

    rows = measured(table, {"slow": lambda: slowly, "fast": lambda: gives(RIGHT)})
    assert float(rows["slow"]["ratio"]) == pytest.approx(1)
    assert float(rows["fast"]["ratio"]) > 5
    assert rows["fast"]["problem"] == "p"
    assert rows["fast"]["device"] == "toy"


def test_what_is_wrong_has_no_time(table: Table) -> None:
    nan = torch.full((3,), float("nan"))
    rows = measured(table, {"a": lambda: gives(RIGHT), "b": lambda: gives(WRONG), "c": lambda: gives(nan)})
    assert rows["a"]["ms"]
    assert rows["a"]["note"] == ""
    assert rows["b"]["ms"] == rows["c"]["ms"] == ""
    assert rows["b"]["note"] == "wrong by 5.0e-01, at most 1e-03 is right"
    assert rows["c"]["note"].startswith("wrong by nan")


def test_one_failure_leaves_the_others_alone_and_is_not_tried_again(table: Table) -> None:
    attempts = []

    def refused() -> Run:
        attempts.append(1)
        raise RuntimeError("no engine for this\nand a long story")

    prepares: dict[str, Callable[[], Run]] = {
        "a": lambda: gives(RIGHT),
        "refused": refused,
        "late": lambda: fails(torch.OutOfMemoryError("full")),
        "b": lambda: gives(RIGHT),
    }
    rows = measured(table, prepares)
    assert rows["refused"]["note"] == "RuntimeError: no engine for this"
    assert rows["late"]["note"] == "OutOfMemoryError: full"
    assert rows["b"]["ms"]
    assert not rows["refused"]["ms"]
    assert measured(table, prepares) == rows
    assert attempts == [1]


def test_without_a_baseline_there_are_times_and_no_ratios(table: Table) -> None:
    rows = measured(table, {"a": lambda: gives(WRONG), "b": lambda: gives(RIGHT)})
    assert rows["b"]["ms"]
    assert rows["b"]["ratio"] == rows["a"]["ms"] == ""


def test_where_nothing_can_be_set_up_every_candidate_says_so(table: Table) -> None:
    def set_up() -> Toy:
        raise MemoryError("too large")

    whole = trial({"a": lambda: gives(RIGHT), "b": lambda: gives(RIGHT)})
    broken = Trial(whole.case, whole.candidates, set_up, whole.clock, whole.columns)
    compare_remaining(table, [broken], Deadline(1))
    assert [row["note"] for row in table.rows()] == ["MemoryError: too large"] * 2


def test_a_lost_device_ends_the_process_once_its_row_is_kept(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = []

    def breaks() -> Run:
        lost.append(1)
        return fails(torch.AcceleratorError("an illegal memory access was encountered"))

    prepares: dict[str, Callable[[], Run]] = {
        "a": lambda: gives(RIGHT),
        "b": breaks,
        "c": lambda: gives(RIGHT),
    }
    monkeypatch.setattr(comparison, "device_lost", lambda: bool(lost))
    with pytest.raises(SystemExit) as ended:
        measured(table, prepares)
    assert ended.value.code == DEVICE_LOST
    assert [row["candidate"] for row in table.rows()] == ["a", "b"]
    monkeypatch.setattr(comparison, "device_lost", lambda: False)
    assert measured(table, prepares)["c"]["ms"]
    assert lost == [1]


def test_who_ends_the_process_twice_is_left_out(table: Table) -> None:
    class Killed(BaseException): ...

    def kills() -> Run:
        raise Killed

    prepares = {"a": lambda: gives(RIGHT), "b": kills, "c": lambda: gives(RIGHT)}
    for _ in range(2):
        with pytest.raises(Killed):
            measured(table, prepares)
    rows = measured(table, prepares)
    assert rows["b"]["note"] == "ended the process 2 times"
    assert rows["c"]["ratio"]


def test_nothing_is_begun_after_the_deadline(table: Table) -> None:
    assert measured(table, {"a": lambda: gives(RIGHT)}, minutes=0) == {}


def test_later_calls_prepare_the_baseline_again(table: Table) -> None:
    measured(table, {"a": lambda: gives(RIGHT)})
    rows = measured(table, {"a": lambda: gives(RIGHT), "b": lambda: gives(RIGHT)})
    assert rows["b"]["ratio"]
    assert len(table.rows()) == 2


def test_medians_are_taken_in_turns() -> None:
    order: list[str] = []
    runs = {name: gives(RIGHT) for name in "ab"}
    names = {id(run): name for name, run in runs.items()}

    def clock(run: Run) -> Time:
        order.append(names[id(run)])
        return Time(float(len(order)))

    found, other = comparison.in_turns(runs["a"], runs["b"], clock, seconds=0)
    assert "".join(order) == "ab" * (comparison.WARM_UP + comparison.FEWEST_ROUNDS)
    assert other is not None
    assert other.ms == found.ms + 1
