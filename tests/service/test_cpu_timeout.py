import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from service import cpu_timeout
from service.cpu_timeout import CpuTimeout
from tests.service.virtual_time import VirtualTimeLoop


class Process:
    """One that gets a share of a core, and is in a state."""

    def __init__(self, share: float, state: str, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(cpu_timeout, "cpu_time_s", lambda pid: 7.0 + share * (asyncio.get_running_loop().time() - 1000.0))
        patch.setattr(cpu_timeout, "thread_states", lambda pid: {state})

    def given(self) -> float:
        """Seconds, of 1000 that it would like to have, where 10 are allowed."""

        async def scenario() -> float:
            loop = asyncio.get_running_loop()
            began = loop.time()
            with pytest.raises(TimeoutError):
                async with CpuTimeout(1, 10.0) as timeout:
                    await asyncio.sleep(1000)
            assert timeout.expired()
            return loop.time() - began

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(scenario())


@pytest.mark.parametrize(("share", "state"), [(1.0, "R"), (0.6, "R"), (0.0, "S"), (0.1, "S"), (0.0, "T")])
def test_one_that_has_a_core_or_does_not_want_one_is_held_to_its_time(
    share: float, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Process(share, state, monkeypatch).given() == pytest.approx(10)


def test_one_that_wants_a_core_and_does_not_get_it_is_given_time_until_it_had_as_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Process(0.1, "R", monkeypatch).given() == pytest.approx(100, rel=0.1)


def test_what_is_done_in_time_is_not_held_up() -> None:
    async def scenario() -> None:
        async with CpuTimeout(None, 10.0) as timeout:
            await asyncio.sleep(9)
        assert not timeout.expired()
        await asyncio.sleep(9)

    virtually(scenario())


def virtually(scenario: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(scenario)


def test_a_caller_that_is_cancelled_is_not_told_that_its_time_is_over() -> None:
    async def limited() -> None:
        async with CpuTimeout(None, 10.0) as timeout:
            try:
                await asyncio.sleep(1000)
            finally:
                assert not timeout.expired()

    async def scenario() -> None:
        task = asyncio.create_task(limited())
        await asyncio.sleep(9)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    virtually(scenario())


def test_a_caller_that_is_cancelled_at_the_moment_its_time_is_over_is_cancelled() -> None:
    async def limited() -> None:
        async with CpuTimeout(None, 10.0):
            await asyncio.sleep(1000)

    async def scenario() -> None:
        task = asyncio.create_task(limited())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_at(1010.0, task.cancel)  # behind the end of its time, and before it hears of it
        await asyncio.wait([task])
        assert task.cancelled()

    virtually(scenario())


async def fail_in_the_end() -> None:
    async with CpuTimeout(None, 10.0):
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            raise ZeroDivisionError from None


def test_a_task_is_as_it_was_when_its_time_is_over() -> None:
    async def scenario() -> None:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(TimeoutError):
            async with CpuTimeout(None, 10.0):
                await asyncio.sleep(1000)
        assert task.cancelling() == 0
        await asyncio.sleep(1)  # it can wait for other things
        with pytest.raises(ZeroDivisionError):
            await fail_in_the_end()
        assert task.cancelling() == 0

    virtually(scenario())


@pytest.mark.parametrize(("outer_s", "inner_s", "inner_expires"), [(5, 10, False), (10, 5, True)])
def test_one_inside_another_limit_answers_for_its_own(outer_s: float, inner_s: float, inner_expires: bool) -> None:
    async def scenario() -> None:
        outer, inner = asyncio.timeout(outer_s), CpuTimeout(None, inner_s)
        with pytest.raises(TimeoutError):
            async with outer, inner:
                await asyncio.sleep(1000)
        assert (outer.expired(), inner.expired()) == (not inner_expires, inner_expires)

    virtually(scenario())
