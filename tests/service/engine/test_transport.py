"""What passes between the server and its engine process, and that it is never mixed up."""

import asyncio
import sys
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from models.postprocessors.base import Row
from preprocessors.base import Array
from service.engine.process import ProcessEngine
from tests.service.engine import puppet
from tests.service.engine.conftest import Started, run
from tests.wakeups import wakeups


async def puppet_rows(engine: ProcessEngine, views: list[Array]) -> list[Row]:
    return await engine.run("puppet", views)


def test_ten_thousand_marked_views_come_back_to_whom_they_belong(started: Started) -> None:
    marks = iter(range(10_000))
    rng = np.random.default_rng(0)

    async def ask(engine: ProcessEngine) -> None:
        while batch := [mark for mark, _ in zip(marks, range(rng.integers(1, 60)), strict=False)]:
            shape = tuple(rng.integers(1, 4, rng.integers(0, 3)))
            rows = await puppet_rows(engine, [np.full(shape, mark, np.int32) for mark in batch])
            for mark, row in zip(batch, rows, strict=True):
                assert row["echo"].shape == shape
                assert (row["echo"] == 2 * mark).all()
                assert row["facts"][1] == len(batch)

    async def scenario() -> None:
        async with started() as engine:
            await asyncio.gather(*(ask(engine) for _ in range(7)))

    run(scenario())
    assert next(marks, None) is None


@pytest.mark.parametrize(
    ("count", "shape", "dtype"), [(16, (3, 1024, 1024), np.uint8), (32, (10_000, 6), np.float32), (3, (0, 3), np.int64)]
)
def test_batches_of_any_size_pass(started: Started, count: int, shape: tuple[int, ...], dtype: type[Any]) -> None:
    rng = np.random.default_rng(0)
    views: list[Array] = [rng.integers(0, 256, shape, np.uint8).astype(dtype) for _ in range(count)]

    async def scenario() -> None:
        async with started() as engine:
            for batch in (views[:1], views):
                rows = await puppet_rows(engine, batch)
                for view, row in zip(batch, rows, strict=True):
                    assert np.array_equal(row["echo"], 2 * puppet.shortened(torch.from_numpy(view)).float().numpy())

    run(scenario())


def test_rows_outlive_the_runs_that_follow(started: Started) -> None:
    async def scenario() -> list[float]:
        async with started() as engine:
            kept = [(await puppet_rows(engine, [np.array([value])]))[0] for value in range(20)]
            return [row["echo"].item() for row in kept]

    assert run(scenario()) == [2 * value for value in range(20)]


def test_the_next_batch_is_in_place_while_one_is_computed(started: Started) -> None:
    async def scenario() -> tuple[list[Row], list[str]]:
        done: list[str] = []
        async with started() as engine:
            view = np.array([3.0])
            slow = asyncio.create_task(puppet_rows(engine, [np.array([-7.0])]))
            prefetched = asyncio.create_task(puppet_rows(engine, [view]))
            slow.add_done_callback(lambda task: done.append("slow"))
            prefetched.add_done_callback(lambda task: done.append("prefetched"))
            await asyncio.sleep(0.05)
            assert done == []
            view[:] = 4  # too late to be noticed
            return await prefetched, done

    rows, done = run(scenario())
    assert rows[0]["echo"].item() == 6
    assert done == ["slow", "prefetched"]


def test_what_is_no_array_of_numbers_fails_alone(started: Started) -> None:
    async def scenario() -> float:
        async with started() as engine:
            for _ in range(2 * engine.depth):
                with pytest.raises(TypeError, match="an array of object"):
                    await puppet_rows(engine, [np.array([None])])
            (row,) = await puppet_rows(engine, [np.array([1])])
            return row["echo"].item()

    assert run(scenario()) == 2


def test_an_engine_that_has_nothing_to_do_wakes_for_its_heartbeat_alone(started: Started) -> None:
    async def scenario() -> list[int]:
        async with started(heartbeat_s=0.5) as engine:
            await puppet_rows(engine, [np.zeros(1)])
            processes = [psutil.Process(engine.pid), psutil.Process()]
            before = [wakeups([process]) for process in processes]
            await asyncio.sleep(2)
            return [wakeups([process]) - count for process, count in zip(processes, before, strict=True)]

    assert max(run(scenario())) < 100  # polling every 10 ms would make it 200; a busy machine adds a few


def test_the_engine_computes_with_the_threads_of_the_settings(started: Started) -> None:
    async def scenario() -> Row:
        async with started() as engine:
            return (await puppet_rows(engine, [np.zeros(1)]))[0]

    assert run(scenario())["facts"].tolist() == [1, 1]


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not made for it")
def test_it_works_under_the_event_loop_of_uvicorn(started: Started) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def scenario() -> float:
        async with started() as engine:
            rows = await asyncio.gather(*(puppet_rows(engine, [np.array([value])]) for value in range(100)))
            return sum(row["echo"].item() for (row,) in rows)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(scenario()) == 9900
