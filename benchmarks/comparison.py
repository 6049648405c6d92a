"""Candidates for one problem, each prepared, checked and timed against the first, and never trusted to come through.

What cannot be prepared, runs out of memory or is wrong has a row without a time that says why, and is not tried again.
"""

import gc
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmarks.busyness import Busyness
from benchmarks.clock import Clock, Run, Time, medians
from benchmarks.deadline import Deadline
from benchmarks.table import MOST_ATTEMPTS, Row, Table

WARM_UP, FEWEST_ROUNDS, MOST_ROUNDS = 3, 5, 101
SLOW_S, FEWEST_SLOW_ROUNDS = 2.0, 3  # a round that takes longer is steady enough, and warmed up by one
DEVICE_LOST = 75  # exit status: try again, in a new process
LONGEST_NOTE = 200


class Subject(Protocol):
    """A problem set up: its input and its ground truth."""

    tolerance: float

    def prepare(self, candidate: str) -> Run:
        """May take long; raises what it raises."""
        ...

    def error(self, output: Tensor) -> float:
        """Against the ground truth, relative to its largest number."""
        ...


@dataclass(frozen=True)
class Trial:
    """case: columns that name the problem. candidates: by name, the baseline first. seconds: of timing for each.
    columns: what a row says of a measurement, beside its candidate. needs_s: not begun with less time left."""

    case: Mapping[str, Any]
    candidates: Sequence[str]
    set_up: Callable[[], Subject]
    clock: Clock
    columns: Callable[["Measured"], Row]
    seconds: float = 1.0
    needs_s: float = 0.0


@dataclass(frozen=True)
class Measured:
    """baseline: its time in turns with this one; None where it has none. others_cpu: cores that other programs kept
    busy."""

    time: Time
    baseline: Time | None
    error: float
    others_cpu: float

    def ratio(self) -> str:
        """How many times faster than the baseline."""
        return "" if self.baseline is None else f"{self.baseline.ms / self.time.ms:.3f}"


class Wrong(Exception):
    """An output that is not the ground truth."""


def compare_remaining(table: Table, trials: Iterable[Trial], deadline: Deadline) -> None:
    """What has no row yet, until the deadline. Ends the process where the device can compute no more."""
    for trial in trials:
        known = table.known(trial.case)
        remaining = [name for name in trial.candidates if name not in known]
        if deadline.passed():
            return
        if remaining and not deadline.passed(trial.needs_s):
            _Comparing(table, trial).run(remaining, deadline)


class _Comparing:
    def __init__(self, table: Table, trial: Trial) -> None:
        self._table, self._trial = table, trial
        self._subject: Subject | None = None
        self._baseline: Run | None = None
        self._has_baseline = True  # until it was tried in vain

    def run(self, remaining: Sequence[str], deadline: Deadline) -> None:
        for name in remaining:
            if deadline.passed(self._trial.needs_s):
                return
            self._table.add(self._trial.case, {"candidate": name, **self._row(name)})
            if device_lost():
                sys.exit(DEVICE_LOST)

    def _row(self, name: str) -> Row:
        if self._table.exhausted(self._trial.case, name):
            return {"note": f"ended the process {MOST_ATTEMPTS} times"}
        self._table.begin(self._trial.case, name)
        try:
            return self._trial.columns(self._measured(name))
        except Exception as error:
            return {"note": first_line(error)}
        finally:
            release()

    def _measured(self, name: str) -> Measured:
        run, error = self._checked(name)
        if name == self._trial.candidates[0]:
            self._baseline = run
        baseline = self._prepared_baseline()
        with Busyness() as busyness:
            time, other = in_turns(run, baseline, self._trial.clock, self._trial.seconds)
        return Measured(time, other, error, busyness.others)

    def _checked(self, name: str) -> tuple[Run, float]:
        if self._subject is None:
            self._subject = self._trial.set_up()
        run = self._subject.prepare(name)
        error = self._subject.error(run())
        if not error <= self._subject.tolerance:  # NaN is not
            raise Wrong(f"wrong by {error:.1e}, at most {self._subject.tolerance:.0e} is right")
        return run, error

    def _prepared_baseline(self) -> Run | None:
        """Prepared anew where an earlier call has measured it."""
        if self._baseline is None and self._has_baseline:
            try:
                self._baseline, _ = self._checked(self._trial.candidates[0])
            except Exception:
                self._has_baseline = False
        return self._baseline


def in_turns(run: Run, baseline: Run | None, clock: Clock, seconds: float) -> tuple[Time, Time | None]:
    """Medians, so that a change of the machine's speed meets both."""
    runs = [run] if baseline in (None, run) else [run, baseline]
    once_s = 1e-3 * sum(clock(each).ms for each in runs)
    if once_s < SLOW_S:
        once_s = min(1e-3 * sum(clock(each).ms for each in runs) for _ in range(WARM_UP - 1))
    fewest = FEWEST_ROUNDS if once_s < SLOW_S else FEWEST_SLOW_ROUNDS
    rounds = int(max(fewest, min(MOST_ROUNDS, seconds / max(1e-9, once_s))))
    taken = [[clock(each) for each in runs] for _ in range(rounds)]
    found = [medians(list(times)) for times in zip(*taken, strict=True)]
    return found[0], None if baseline is None else found[-1]


def first_line(error: Exception) -> str:
    """What a row says of it."""
    told = str(error).strip().partition("\n")[0]
    named = told if isinstance(error, Wrong) else f"{type(error).__name__}: {told}"
    return named[:LONGEST_NOTE]


def device_lost() -> bool:
    """Whether every call fails from now on: after some errors of a GPU its process can compute nothing more."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    try:
        torch.ones(1, device="cuda").sum().item()
    except RuntimeError:
        return True
    return False


def release() -> None:
    """What a candidate held, graphs and their memory included."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        with suppress(RuntimeError):  # a lost device is noticed elsewhere
            torch.cuda.empty_cache()
