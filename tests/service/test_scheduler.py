import asyncio
import gc
import random
import weakref
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import numpy as np
import pytest

from preprocessors.base import Array
from service.engine.base import OutOfMemory, WorkerLost
from service.lane import Prediction
from service.priority import Priority
from service.scheduler import Scheduler
from tests.service.fake_engine import Cost, FakeEngine, view

T = TypeVar("T")
BULK = Priority.BULK


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 30))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def scheduler(engine: FakeEngine, max_batch_size: int = 8, max_batch_elements: int = 1 << 26) -> Scheduler:
    return Scheduler(engine, max_batch_size, max_batch_elements, clock=engine.clock)


def submit(queue: Scheduler, *values: float, model: str = "a", **options: Any) -> "asyncio.Task[list[Prediction]]":
    return asyncio.create_task(queue.submit(model, [view(value) for value in values], **options))


async def occupied(queue: Scheduler, engine: FakeEngine, **options: Any) -> "asyncio.Task[list[Prediction]]":
    """The engine runs 0.0 and waits at the gate."""
    engine.gate.clear()
    first = submit(queue, 0.0, **options)
    await until(lambda: len(engine.batches) == 1)
    return first


def answers(outcomes: Sequence[object]) -> list[float]:
    return [item.row["logits"].item() for outcome in outcomes if isinstance(outcome, list) for item in outcome]


async def behind_a_busy_engine(
    engine: FakeEngine, values: Sequence[float], max_batch_size: int = 8, **options: Any
) -> list[Any]:
    """What becomes of values that are submitted while the engine runs 0.0."""
    queue = scheduler(engine, max_batch_size)
    first = await occupied(queue, engine)
    tasks = [submit(queue, value, **options) for value in values]
    await asyncio.sleep(0)
    engine.gate.set()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_a_lone_view_runs_at_once_and_alone() -> None:
    async def scenario() -> None:
        engine = FakeEngine(cost=lambda model, size: 0.5)
        (prediction,) = await submit(scheduler(engine), 3.0)
        assert engine.values == [[3.0]]
        assert (prediction.row["logits"].item(), prediction.batch_size) == (6.0, 1)
        assert (prediction.queue_ms, prediction.forward_ms) == (0.0, 500.0)

    run(scenario())


def test_views_that_wait_for_a_busy_engine_share_its_next_pass() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        assert answers(await behind_a_busy_engine(engine, [1, 2, 3])) == [2.0, 4.0, 6.0]
        assert engine.values == [[0.0], [1.0, 2.0, 3.0]]

    run(scenario())


def test_a_batch_is_no_larger_than_its_limit_and_keeps_the_order() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        outcomes = await behind_a_busy_engine(engine, [1, 2, 3, 4, 5], max_batch_size=2)
        assert engine.values == [[0.0], [1.0, 2.0], [3.0, 4.0], [5.0]]
        assert answers(outcomes) == [2.0, 4.0, 6.0, 8.0, 10.0]

    run(scenario())


def test_a_batch_holds_no_more_numbers_than_its_limit_and_a_larger_view_goes_alone() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        queue = scheduler(engine, max_batch_elements=5)
        views: list[Array] = [np.full(size, float(i)) for i, size in enumerate((2, 2, 2, 9, 1, 4), 1)]
        predictions = await queue.submit("a", views)
        assert engine.values == [[1.0, 2.0], [3.0], [4.0], [5.0, 6.0]]
        assert answers([predictions]) == [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]

    run(scenario())


def test_all_views_of_an_input_are_answered_together_and_in_order() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        assert answers([await submit(scheduler(engine, 2), 1.0, 2.0, 3.0)]) == [2.0, 4.0, 6.0]
        assert engine.values == [[1.0, 2.0], [3.0]]

    run(scenario())


def test_a_view_that_fails_does_not_fail_those_beside_it() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        engine.faults[13.0] = RuntimeError("thirteen")
        outcomes = await behind_a_busy_engine(engine, [1, 13, 2, 3, 4])
        assert answers(outcomes) == [2.0, 4.0, 6.0, 8.0]
        assert "thirteen" in str(outcomes[1])

    run(scenario())


def test_the_scheduler_goes_on_after_a_failure() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        engine.faults[13.0] = RuntimeError("thirteen")
        queue = scheduler(engine)
        with pytest.raises(RuntimeError, match="thirteen"):
            await submit(queue, 13.0)
        assert answers([await submit(queue, 4.0)]) == [8.0]

    run(scenario())


def test_a_batch_that_does_not_fit_the_memory_is_run_in_parts() -> None:
    class Small(FakeEngine):
        async def run(self, model: str, views: Sequence[Array]) -> list[Any]:
            if len(views) > 2:
                raise OutOfMemory("too much")
            return await super().run(model, views)

    async def scenario() -> None:
        engine = Small()
        engine.faults[9.0] = OutOfMemory("nine")
        outcomes = await behind_a_busy_engine(engine, [1, 2, 3, 9, 4, 5])
        assert answers(outcomes) == [2.0, 4.0, 6.0, 8.0, 10.0]
        assert isinstance(outcomes[3], OutOfMemory)

    run(scenario())


def test_what_a_lost_engine_held_fails_at_once_and_what_waits_goes_to_its_successor() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        engine.faults[1.0] = WorkerLost("killed")
        outcomes = await behind_a_busy_engine(engine, [1, 2, 3, 4], max_batch_size=2)
        assert [type(item) for item in outcomes[:2]] == [WorkerLost, WorkerLost]
        assert answers(outcomes[2:]) == [6.0, 8.0]
        assert engine.values == [[0.0], [1.0, 2.0], [3.0, 4.0]]

    run(scenario())


def test_an_engine_that_loses_rows_is_an_error_and_not_a_swap() -> None:
    class Forgetful(FakeEngine):
        async def run(self, model: str, views: Sequence[Array]) -> list[Any]:
            return (await super().run(model, views))[1:]

    async def scenario() -> None:
        with pytest.raises(RuntimeError, match="a batch of 1 with 0 rows"):
            await submit(scheduler(Forgetful()), 1.0)

    run(scenario())


def test_views_nobody_waits_for_any_more_are_not_computed() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        queue = scheduler(engine)
        first = await occupied(queue, engine)
        gone, stays = submit(queue, 1.0, 1.5), submit(queue, 2.0)
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        engine.gate.set()
        await asyncio.gather(first, stays)
        assert engine.values == [[0.0], [2.0]]

    run(scenario())


def test_what_clients_abandon_is_not_kept_while_the_engine_hangs() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        queue = scheduler(engine)
        await occupied(queue, engine)
        kept: list[weakref.ref[Any]] = []
        for value in range(200):
            views = [view(float(value))]
            kept.append(weakref.ref(views[0]))
            task = asyncio.create_task(queue.submit("a", views))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            del views, task
        gc.collect()
        assert sum(reference() is not None for reference in kept) < 30

    run(scenario())


def test_views_that_would_come_too_late_never_reach_the_engine() -> None:
    async def scenario() -> None:
        engine = FakeEngine(cost=lambda model, size: 1.0)
        now = engine.clock.now
        queue = scheduler(engine, max_batch_size=1)
        first = await occupied(queue, engine)
        deadlines = {1.0: now + 0.5, 2.0: now + 1.5, 3.0: now + 1.5, 4.0: now + 9.0}
        tasks = [submit(queue, value, deadline=deadline) for value, deadline in deadlines.items()]
        await asyncio.sleep(0)
        engine.gate.set()
        outcomes = await asyncio.gather(first, *tasks, return_exceptions=True)
        assert engine.values == [[0.0], [2.0], [4.0]]
        assert [type(item).__name__ for item in outcomes] == [
            "list", "DeadlineExceeded", "list", "DeadlineExceeded", "list",
        ]  # fmt: skip

    run(scenario())


def test_models_share_the_engine_but_never_a_batch() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        queue = scheduler(engine)
        tasks = [await occupied(queue, engine)]
        tasks += [submit(queue, value, model=model) for value, model in ((1.0, "b"), (2.0, "a"), (3.0, "b"))]
        await asyncio.sleep(0)
        engine.gate.set()
        assert answers(await asyncio.gather(*tasks)) == [0.0, 2.0, 4.0, 6.0]
        assert sorted(engine.batches) == [("a", [0.0]), ("a", [2.0]), ("b", [1.0, 3.0])]

    run(scenario())


async def flood(cost: Cost, lanes: dict[str, Priority], seconds: float) -> FakeEngine:
    """The engine, after so long on its clock in which every lane has always had a full batch waiting."""
    engine = FakeEngine(cost=cost)
    queue = scheduler(engine, max_batch_size=4)
    start = engine.clock.now

    async def source(model: str, priority: Priority) -> None:
        while engine.clock.now < start + seconds:
            await queue.submit(model, [view(1.0)], priority)

    await asyncio.gather(*(source(model, priority) for model, priority in lanes.items() for _ in range(12)))
    return engine


def test_models_get_equal_time_however_long_their_batches_take() -> None:
    costs = {"fast": 0.01, "slow": 0.08}
    lanes = dict.fromkeys(costs, Priority.INTERACTIVE)
    spent = run(flood(lambda model, size: costs[model], lanes, 20.0)).spent
    assert spent["fast"] == pytest.approx(spent["slow"], rel=0.1)


def test_bulk_work_gets_a_sixteenth_of_a_busy_engine() -> None:
    lanes = {"asked": Priority.INTERACTIVE, "bulk": BULK}
    spent = run(flood(lambda model, size: 0.01, lanes, 20.0)).spent
    assert spent["bulk"] / sum(spent.values()) == pytest.approx(1 / 16, rel=0.1)


def test_bulk_work_has_an_idle_engine_to_itself() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        queue = scheduler(engine)
        assert answers([await submit(queue, 1.0, priority=BULK)]) == [2.0]

    run(scenario())


def test_a_flood_of_bulk_work_delays_an_interactive_view_by_one_batch_at_most() -> None:
    async def scenario() -> None:
        engine = FakeEngine(depth=2, cost=lambda model, size: 1.0)
        queue = scheduler(engine, max_batch_size=2)
        bulk = [submit(queue, 100.0 + i, model=model, priority=BULK) for i in range(20) for model in "ab"]
        for value in range(5):
            await until(lambda done=4 * value: len(engine.batches) > done)  # type: ignore[misc]
            before = len(engine.batches)
            (prediction,) = await submit(queue, float(value), model="b")
            taken = engine.batches[before : before + 2]  # one was when the last answers were told
            assert ("b", [float(value)]) in taken
            assert prediction.queue_ms <= 1000.0
        await asyncio.gather(*bulk)

    run(scenario())


@pytest.mark.parametrize(
    ("waiting", "options", "prefetched"), [(2, {}, True), (1, {}, False), (2, {"priority": BULK}, False)]
)
def test_only_a_full_batch_that_somebody_waits_for_is_cut_before_the_engine_is_free(
    waiting: int, options: dict[str, Any], prefetched: bool
) -> None:
    async def scenario() -> None:
        engine = FakeEngine(depth=2)
        queue = scheduler(engine, max_batch_size=2)
        tasks = [await occupied(queue, engine), *(submit(queue, 1.0 + i, **options) for i in range(waiting))]
        for _ in range(5):
            await asyncio.sleep(0)
        assert (len(engine.batches) == 2) is prefetched
        tasks += [submit(queue, 5.0)]
        for _ in range(5):
            await asyncio.sleep(0)
        engine.gate.set()
        await asyncio.gather(*tasks)

    run(scenario())


def test_behind_a_long_batch_views_wait_where_they_can_still_leave() -> None:
    async def scenario() -> None:
        engine = FakeEngine(depth=2, cost=lambda model, size: 1.0)
        queue = scheduler(engine, max_batch_size=2)
        queue.costs["a"].observe(1, 1.0)
        tasks = [await occupied(queue, engine), *(submit(queue, 1.0 + i) for i in range(4))]
        for _ in range(5):
            await asyncio.sleep(0)
        tasks[1].cancel()
        engine.gate.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [values for _, values in engine.batches[1:]] == [[2.0, 3.0], [4.0]]

    run(scenario())


def test_no_more_batches_are_outstanding_than_the_engine_takes() -> None:
    async def scenario() -> None:
        engine = FakeEngine(depth=2)
        queue = scheduler(engine, max_batch_size=1)
        tasks = [await occupied(queue, engine), *(submit(queue, float(i)) for i in range(1, 9))]
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(engine.batches) == 2
        engine.gate.set()
        assert answers(await asyncio.gather(*tasks)) == [2.0 * i for i in range(9)]

    run(scenario())


def test_the_time_of_a_prefetched_batch_counts_from_the_end_of_the_one_before_it() -> None:
    async def scenario() -> None:
        engine = FakeEngine(depth=2, cost=lambda model, size: 1.0)
        queue = scheduler(engine, max_batch_size=1)
        predictions = [(await task)[0] for task in [submit(queue, float(i)) for i in range(3)]]
        assert [prediction.forward_ms for prediction in predictions] == [1000.0] * 3
        assert [prediction.queue_ms for prediction in predictions] == [0.0, 1000.0, 2000.0]
        assert queue.costs["a"].seconds(1) == pytest.approx(1.0)

    run(scenario())


def test_closing_answers_what_waits() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        queue = scheduler(engine, max_batch_size=1)
        tasks = [submit(queue, value) for value in (1.0, 2.0, 3.0)]
        await asyncio.sleep(0)
        await queue.close()
        assert len(engine.batches) == 3
        assert answers(await asyncio.gather(*tasks)) == [2.0, 4.0, 6.0]

    run(scenario())


def test_an_idle_scheduler_leaves_no_timer_and_no_task() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        queue = scheduler(engine)
        await asyncio.gather(*(submit(queue, float(i)) for i in range(20)))
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        loop: Any = asyncio.get_running_loop()
        assert not loop._scheduled
        assert not loop._ready
        assert queue.idle

    asyncio.run(scenario())


def test_ten_thousand_marked_views_are_never_swapped_whoever_leaves() -> None:
    async def client(queue: Scheduler, number: int, rng: random.Random) -> tuple[list[float], list[float]]:
        values = [number + i / 8 for i in range(rng.choice((1, 1, 1, 2, 5)))]
        await asyncio.sleep(rng.random() * 0.5)
        options = {"model": rng.choice("abc"), "priority": rng.choice(list(Priority))}
        task = submit(queue, *values, **options)
        if rng.random() < 0.3:
            for _ in range(rng.randrange(6)):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        return ([], []) if task.cancelled() else (values, answers([task.result()]))

    async def scenario() -> None:
        rng = random.Random(7)
        queue = scheduler(FakeEngine(depth=2, cost=lambda model, size: 0.01 * size))
        outcomes = await asyncio.gather(*(client(queue, number, rng) for number in range(5200)))
        asked = [value for values, _ in outcomes for value in values]
        assert [value for _, found in outcomes for value in found] == [2 * value for value in asked]
        assert len(asked) > 5000
        assert sum(values == [] for values, _ in outcomes) > 500

    run(scenario())


def test_a_batch_is_no_longer_than_others_should_have_to_wait() -> None:
    async def scenario() -> None:
        engine = FakeEngine(cost=lambda model, size: 0.01 + 0.03 * size)
        queue = scheduler(engine, max_batch_size=16)
        for size in (1, 16):
            queue.costs["a"].observe(size, 0.01 + 0.03 * size)
        await asyncio.gather(*(submit(queue, float(i)) for i in range(10)))
        assert [len(values) for _, values in engine.batches] == [3, 3, 3, 1]

    run(scenario())


def test_what_a_batch_takes_is_told_by_the_numbers_in_it_not_by_the_count_of_views() -> None:
    async def scenario() -> None:
        engine = FakeEngine(cost=lambda model, size: 0.00098 * size)
        queue = scheduler(engine, max_batch_size=16)
        await queue.submit("a", [np.zeros(1, np.float32)])
        await queue.submit("a", [np.zeros(50, np.float32)])
        assert queue.costs["a"].seconds(20) == pytest.approx(0.0196)
        views = [np.full(size, i, np.float32) for i, size in enumerate([45] * 4 + [10] * 12)]
        await asyncio.gather(*(queue.submit("a", [view]) for view in views))
        # 102 numbers take a tenth of a second
        assert [len(values) for _, values in engine.batches[2:]] == [2, 3, 10, 1]

    run(scenario())


def test_the_engine_has_its_next_batch_before_the_answers_are_told() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        queue = scheduler(engine, max_batch_size=1)
        taken: list[int] = []

        async def ask(value: float) -> None:
            await submit(queue, value)
            taken.append(len(engine.batches))

        await asyncio.gather(*(ask(float(value)) for value in range(3)))
        assert taken == [2, 3, 3]

    run(scenario())
