import asyncio

import pytest

from service.worker_starts import HANGS_S, WorkerStarts


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_last_attempt_that_ended_counts() -> None:
    starts = WorkerStarts()
    assert starts.fault is None
    with pytest.raises(OSError, match="full"), starts.attempt():
        raise OSError("full")
    assert starts.fault == "full"
    with starts.attempt():
        assert starts.fault == "full"
    assert starts.fault is None


def test_an_attempt_that_does_not_end_is_a_fault_until_it_does() -> None:
    clock = Clock()
    starts = WorkerStarts(clock)
    with starts.attempt():
        assert starts.fault is None
        clock.now += HANGS_S + 1
        assert starts.fault == "one has been starting for 11 s"
    assert starts.fault is None


def test_an_attempt_that_is_given_up_tells_nothing() -> None:
    starts = WorkerStarts()
    with pytest.raises(asyncio.CancelledError), starts.attempt():
        raise asyncio.CancelledError
    assert starts.fault is None
