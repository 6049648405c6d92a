"""Engines that die, hang or break their device: everybody is answered, and the next one is there."""

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from typing import Any

import numpy as np
import psutil
import pytest

from service.engine.base import EngineOptions, EngineState, WorkerLost
from service.engine.fork_server import ForkServer
from service.engine.process import ProcessEngine
from service.engine.watch import Watch
from tests.service.engine import puppet
from tests.service.engine.conftest import CPU, PATIENCE_S, Started, run, until

KILLS = 20


async def echo(engine: ProcessEngine, value: float) -> float:
    (row,) = await engine.run("puppet", [np.array([value])])
    return row["echo"].item() / 2


def kill(engine: ProcessEngine, how: signal.Signals = signal.SIGKILL) -> None:
    assert engine.pid is not None
    os.kill(engine.pid, how)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_killed_twenty_times_under_load_everybody_is_answered(started: Started) -> None:
    answered: list[float] = []
    refused: list[float] = []
    slowest = 0.0

    async def ask(engine: ProcessEngine, first: int) -> None:
        nonlocal slowest
        value = float(first)
        while engine.restarts < KILLS:
            began = time.monotonic()
            try:
                assert await echo(engine, value) == value
                answered.append(value)
            except WorkerLost:
                refused.append(value)
                await asyncio.sleep(0.005)
            slowest = max(slowest, time.monotonic() - began)
            value += 10

    async def scenario() -> float:
        async with started() as engine:
            clients = [asyncio.create_task(ask(engine, number)) for number in range(6)]
            for number in range(KILLS):
                before = len(answered)
                await until(lambda before=before: len(answered) > before + 2)  # type: ignore[misc]
                await asyncio.sleep(random.Random(number).uniform(0, 0.005))
                kill(engine)
                await until(lambda number=number: engine.restarts > number and engine.alive)  # type: ignore[misc]
            await asyncio.gather(*clients)
            assert engine.restarts == KILLS
            return await echo(engine, 12345)

    assert run(scenario()) == 12345
    assert len(refused) >= 1
    assert slowest < 10, "a caller was left waiting"


@pytest.mark.parametrize(("act", "reason"), [(-4, "ended"), (-6, "ended"), (-5, "hung: it did not answer for 1 s")])
def test_an_engine_that_breaks_fails_those_it_has_and_is_replaced(started: Started, act: float, reason: str) -> None:
    reasons: list[str] = []

    async def scenario() -> None:
        async with started(hang_timeout_s=1, on_lost=reasons.append) as engine:
            first = engine.pid
            doomed = [asyncio.create_task(echo(engine, value)) for value in (act, 1.0, 2.0)]
            outcomes = await asyncio.gather(*doomed, return_exceptions=True)
            assert all(isinstance(outcome, WorkerLost) for outcome in outcomes), outcomes
            assert reason in str(outcomes[0])
            await until(lambda: engine.alive)
            assert await echo(engine, 7) == 7
            assert (engine.restarts, len(reasons)) == (1, 1)
            assert engine.pid != first
            assert first is not None
            assert is_gone(first)

    run(scenario())


def test_a_hang_is_noticed_before_anybody_asks(started: Started) -> None:
    async def scenario() -> None:
        async with started(hang_timeout_s=1, heartbeat_s=0.1) as engine:
            kill(engine, signal.SIGSTOP)
            await until(lambda: engine.restarts == 1 and engine.alive)
            assert await echo(engine, 7) == 7

    run(scenario())


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell what an engine computes")
def test_an_engine_that_is_stopped_is_replaced_long_before_a_batch_may_take(started: Started) -> None:
    reasons: list[str] = []

    async def scenario() -> None:
        async with started(hang_timeout_s=PATIENCE_S, stall_s=0.5, tolerance=0.0, on_lost=reasons.append) as engine:
            await echo(engine, 1)
            kill(engine, signal.SIGSTOP)
            waiting = [asyncio.create_task(echo(engine, value)) for value in range(3)]
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(outcome, WorkerLost) for outcome in outcomes), outcomes
            await until(lambda: engine.alive)
            assert await echo(engine, 7) == 7

    run(scenario())
    assert reasons == ["the engine hung: it owes an answer, and has computed nothing for 0.5 s"]


def test_an_engine_that_computes_is_given_the_time_that_a_batch_may_take(started: Started) -> None:
    async def scenario() -> None:
        async with started(stall_s=0.5, tolerance=0.0) as engine:
            await echo(engine, 1)
            assert await echo(engine, -10) == -10
            assert engine.restarts == 0

    run(scenario())


def test_an_engine_that_is_long_overdue_is_not_called_ready_though_it_was_a_moment_ago(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with started() as engine:
            await echo(engine, 1)
            await engine.check()
            monkeypatch.setattr(Watch, "overdue", "it has not answered for 9 s")
            with pytest.raises(WorkerLost, match="it has not answered for 9 s"):
                await engine.check()

    run(scenario())


def test_an_engine_that_has_just_answered_is_taken_to_work(started: Started) -> None:
    async def scenario() -> None:
        async with started() as engine:
            await echo(engine, 1)
            busy = [asyncio.create_task(echo(engine, -7)) for _ in range(engine.depth)]
            await asyncio.sleep(0)
            await engine.check(1e-6)
            await asyncio.gather(*busy)

    run(scenario())


def test_a_process_that_cannot_be_made_is_told_and_leaves_nothing_open(
    fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fds: object) -> None:
        raise OSError("too many open files")

    async def scenario() -> None:
        monkeypatch.setattr(fork_server, "fork", fail)
        own = psutil.Process()
        before = own.num_fds()
        with pytest.raises(OSError, match="too many open files"):
            await ProcessEngine(CPU, fork_server=fork_server, load=puppet.load).start()
        assert own.num_fds() == before

    run(scenario())


def test_heartbeats_do_not_disturb_those_who_ask(started: Started) -> None:
    async def scenario() -> None:
        async with started(heartbeat_s=0.002) as engine:
            for value in range(200):
                assert await echo(engine, value) == value
                await asyncio.sleep(0.001)
            assert engine.restarts == 0

    run(scenario())


def test_a_listener_that_fails_does_not_keep_the_engine_from_being_replaced(
    started: Started, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(reason: str) -> None:
        raise RuntimeError(reason)

    async def scenario() -> None:
        async with started(on_lost=fail) as engine:
            kill(engine)
            await until(lambda: engine.restarts == 1 and engine.alive)

    run(scenario())
    assert "on_lost failed" in caplog.text


def test_a_replacement_that_fails_is_tried_again_at_growing_intervals(fork_server: ForkServer) -> None:
    async def scenario() -> None:
        options = EngineOptions(max_backoff_s=0.05)
        engine = ProcessEngine(CPU, options=options, fork_server=fork_server, load=puppet.load)
        await engine.start()
        engine._load = puppet.die_loading
        kill(engine)
        await until(lambda: engine.restarts == 1)
        assert engine.state is EngineState.STARTING
        with pytest.raises(WorkerLost, match="the engine is starting"):
            await echo(engine, 1)
        await asyncio.sleep(0.3)
        assert not engine.alive
        engine._load = puppet.load
        await until(lambda: engine.alive)
        assert await echo(engine, 7) == 7
        await engine.close()

    run(scenario())


def test_an_engine_that_cannot_be_replaced_for_long_is_no_more_to_be_expected(fork_server: ForkServer) -> None:
    async def scenario() -> None:
        options = EngineOptions(max_backoff_s=0.05, recovery_s=0.2)
        engine = ProcessEngine(CPU, options=options, fork_server=fork_server, load=puppet.load)
        await engine.start()
        engine._load = puppet.load_nothing
        assert engine.fault is None
        kill(engine)
        await until(lambda: engine.fault is not None)
        assert engine.fault is not None
        assert engine.fault.endswith("cannot be replaced: there is no such file")
        engine._load = puppet.load
        await until(lambda: engine.alive)
        assert engine.fault is None
        await engine.close()

    run(scenario())


def test_pauses_between_attempts_grow_to_a_limit() -> None:
    pauses = [EngineOptions(max_backoff_s=30).backoff_s(failures) for failures in range(9)]
    assert pauses == [0, 1, 2, 4, 8, 16, 30, 30, 30]
    assert EngineOptions().backoff_s(10_000) == 30


def test_an_engine_that_dies_while_it_loads_is_told_at_once(fork_server: ForkServer) -> None:
    async def scenario() -> None:
        engine = ProcessEngine(CPU, fork_server=fork_server, load=puppet.die_loading)
        with pytest.raises(WorkerLost, match="the engine process ended"):
            await engine.start()
        assert engine.state is EngineState.FAILED
        await engine.close()

    run(scenario())


def test_loading_has_a_deadline(fork_server: ForkServer) -> None:
    async def scenario() -> None:
        options = EngineOptions(start_timeout_s=1)
        engine = ProcessEngine(CPU, options=options, fork_server=fork_server, load=puppet.hang_loading)
        with pytest.raises(WorkerLost, match="did not start within 1 s"):
            await engine.start()
        assert engine.pid is None or is_gone(engine.pid)
        await engine.close()

    run(scenario())


@pytest.mark.parametrize("pause_s", [0.0, 0.5])
def test_closing_while_it_loads_ends_it(fork_server: ForkServer, pause_s: float) -> None:
    async def scenario() -> None:
        engine = ProcessEngine(CPU, fork_server=fork_server, load=puppet.hang_loading)
        starting = asyncio.create_task(engine.start())
        await asyncio.sleep(pause_s)
        await engine.close()
        with pytest.raises(WorkerLost):
            await starting
        assert engine.pid is None or is_gone(engine.pid)

    run(scenario())


def test_engines_do_not_share_their_fate(fork_server: ForkServer) -> None:
    async def scenario() -> None:
        one, other = (ProcessEngine(CPU, "cpu", fork_server=fork_server, load=puppet.load) for _ in range(2))
        await asyncio.gather(one.start(), other.start())
        kill(one)
        assert await echo(other, 3) == 3
        await until(lambda: one.restarts == 1 and one.alive)
        assert [await echo(one, 4), await echo(other, 5), other.restarts] == [4, 5, 0]
        await asyncio.gather(one.close(), other.close())

    run(scenario())


def test_closing_leaves_no_process_and_no_open_file(started: Started) -> None:
    async def scenario() -> None:
        own, before, pids = psutil.Process(), 0, []
        for _ in range(3):
            async with started() as engine:
                pids.append(engine.pid)
                await echo(engine, 1)
            before = before or own.num_fds()  # the first leaves the fork_server
        assert own.num_fds() <= before
        assert all(pid is not None and is_gone(pid) for pid in pids)

    run(scenario())


def test_an_engine_closes_the_fork_server_that_it_made_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[ForkServer] = []

    async def close(fork_server: ForkServer) -> None:
        closed.append(fork_server)

    monkeypatch.setattr(ForkServer, "close", close)
    run(ProcessEngine(CPU, fork_server=ForkServer()).close())
    assert closed == []
    run(ProcessEngine(CPU).close())
    assert len(closed) == 1


def test_ctrl_c_in_the_terminal_is_left_to_the_server(started: Started) -> None:
    async def scenario() -> None:
        async with started() as engine:
            kill(engine, signal.SIGINT)
            await asyncio.sleep(0.05)
            assert await echo(engine, 3) == 3
            assert engine.restarts == 0

    run(scenario())


def test_a_server_that_is_cancelled_while_the_engine_is_replaced_can_close_it(started: Started) -> None:
    async def scenario() -> None:
        async with started() as engine:
            kill(engine)
            await until(lambda: not engine.alive)
            with contextlib.suppress(WorkerLost):
                await echo(engine, 1)
        assert engine.state is EngineState.CLOSED

    run(scenario())


def test_a_model_that_goes_between_the_choice_and_the_check_is_no_fault_of_the_server(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with started(fresh_s=0.0) as engine:
            await until(lambda: engine._link is not None and not engine._link.busy)
            run = engine.run

            async def run_later(key: str, views: Any) -> Any:
                await engine.unload(key)
                return await run(key, views)

            monkeypatch.setattr(engine, "run", run_later)
            with pytest.raises(WorkerLost, match="no model 'puppet' is loaded"):
                await engine.check()

    run(scenario())
