"""How long an engine has owed an answer, and how much of that is its own fault."""

import os
import signal
import subprocess
import sys
import time

import pytest

from service.engine.cpu_time import cpu_time_s, thread_states
from service.engine.patience import LOOK_S, Patience

linux = pytest.mark.skipif(sys.platform != "linux", reason="nobody knows elsewhere")


class Process:
    """One whose time is the test's to decide."""

    def __init__(self) -> None:
        self.now, self.cpu, self.states = 100.0, 5.0, {"S"}
        self.patience = Patience(1, lambda: self.now, lambda pid: self.cpu, lambda pid: self.states)

    def lives(self, cpu_s: float, states: set[str], looks: int = 8, gap_s: float = LOOK_S) -> tuple[float, float]:
        """Between every two looks; what was counted in the end."""
        for _ in range(looks):
            self.now, self.cpu, self.states = self.now + gap_s, self.cpu + cpu_s, states
            self.patience.look()
        return self.patience.waited_s, self.patience.idle_s


def test_one_that_computes_nothing_is_idle() -> None:
    assert Process().lives(0.0, {"T"}) == (2.0, 2.0)


def test_one_that_computes_is_waited_for_and_not_idle() -> None:
    assert Process().lives(LOOK_S, {"R", "S"}) == (2.0, 0.0)


def test_one_that_the_machine_gives_no_core_is_not_to_blame() -> None:
    assert Process().lives(0.0, {"R", "S"}) == (0.0, 0.0)
    assert Process().lives(0.02, {"R", "S"}) == (0.0, 0.0)


def test_one_that_waits_for_a_disk_is_waited_for_and_not_idle() -> None:
    assert Process().lives(0.0, {"D"}) == (2.0, 0.0)


def test_what_it_did_before_does_not_excuse_it() -> None:
    process = Process()
    process.lives(LOOK_S, {"R"})
    assert process.lives(0.0, {"S"}) == (4.0, 2.0)


def test_time_in_which_nobody_could_look_hardly_counts() -> None:
    waited_s, idle_s = Process().lives(0.0, {"S"}, looks=1, gap_s=3600.0)
    assert waited_s == idle_s == 2 * LOOK_S


def test_where_the_system_does_not_tell_a_process_is_taken_to_compute() -> None:
    patience = Patience(None)
    time.sleep(0.01)
    patience.look()
    assert patience.waited_s > 0
    assert patience.idle_s == 0


@linux
def test_the_system_tells_what_another_process_computes_and_that_it_is_stopped() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            while (cpu_time_s(process.pid) or 0.0) < 0.05:
                time.sleep(0.01)
            assert "R" in thread_states(process.pid)
            process.send_signal(signal.SIGSTOP)
            while thread_states(process.pid) != {"T"}:
                time.sleep(0.01)
            used = cpu_time_s(process.pid)
            time.sleep(0.05)
            assert cpu_time_s(process.pid) == used
        finally:
            process.kill()
    assert cpu_time_s(process.pid) is None
    assert thread_states(process.pid) == set()


@linux
def test_cpu_time_is_of_all_threads() -> None:
    assert cpu_time_s(os.getpid()) == pytest.approx(time.process_time(), abs=0.05)
