"""What every engine promises, tried on both."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import numpy as np
import pytest

from models.description import CheckpointError
from models.postprocessors.base import Row
from models.postprocessors.classification import ClassificationOptions
from preprocessors.base import Array
from service.engine.base import Engine, EngineState, OutOfMemory, WorkerLost
from service.engine.fork_server import ForkServer
from service.engine.local import LocalEngine
from service.engine.process import ProcessEngine
from service.engine.registry import ENGINES
from service.settings import Settings
from tests.service.engine import puppet
from tests.service.engine.conftest import CPU, run
from tests.tiny import LABELS, TINY

Make = Callable[..., Engine]


@pytest.fixture(params=ENGINES)
def make(request: pytest.FixtureRequest, fork_server: ForkServer) -> Make:
    kinds: dict[str, Make] = {
        "process": lambda settings=CPU, **arguments: ProcessEngine(settings, fork_server=fork_server, **arguments),
        "thread": lambda settings=CPU, **arguments: LocalEngine(settings, **arguments),
    }
    return kinds[request.param]


@pytest.fixture
def puppets(make: Make) -> Callable[[], AbstractAsyncContextManager[Engine]]:
    @asynccontextmanager
    async def start() -> AsyncIterator[Engine]:
        engine = make(load=puppet.load)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()

    return start


def view(*values: float) -> Array:
    return np.array(values, np.float32)


async def echo(engine: Engine, *values: float) -> list[float]:
    """Half of what the puppet answers to views of one number each."""
    rows = await engine.run("puppet", [view(value) for value in values])
    return [row["echo"].item() / 2 for row in rows]


@pytest.mark.parametrize(
    ("act", "kind", "message"),
    [
        (-1, RuntimeError, "^thirteen$"),
        (-2, FloatingPointError, "^logits came out as NaN$"),
        (-3, OutOfMemory, "Tried to allocate"),
        (-9, OutOfMemory, "out of memory"),
    ],
)
def test_an_error_comes_back_as_it_is_and_the_next_batch_is_answered(
    puppets: Any, act: int, kind: type[Exception], message: str
) -> None:
    async def scenario() -> list[float]:
        async with puppets() as engine:
            for _ in range(3):
                with pytest.raises(kind, match=message):
                    await echo(engine, act, 1)
            assert engine.restarts == 0
            return await echo(engine, 5, 6)

    assert run(scenario()) == [5, 6]


def test_a_model_that_is_not_there_is_named(puppets: Any) -> None:
    async def scenario() -> None:
        async with puppets() as engine:
            with pytest.raises(LookupError, match="no model 'doll' is loaded; there is: puppet"):
                await engine.run("doll", [view(1)])

    run(scenario())


def test_what_cannot_be_loaded_is_told_as_it_is(make: Make) -> None:
    async def scenario() -> None:
        engine = make(load=puppet.load_nothing)
        with pytest.raises(CheckpointError, match="^there is no such file$"):
            await engine.start()
        assert (engine.state, engine.alive) == (EngineState.FAILED, False)
        with pytest.raises(WorkerLost, match="the engine is failed"):
            await engine.run("puppet", [view(1)])
        await engine.close()

    run(scenario())


def test_it_runs_nothing_before_it_has_started_or_after_it_was_closed(make: Make) -> None:
    async def scenario() -> None:
        engine = make(load=puppet.load)
        for state in (EngineState.STARTING, EngineState.CLOSED):
            assert (engine.state, engine.alive) == (state, False)
            with pytest.raises(WorkerLost, match=f"the engine is {state}"):
                await engine.run("puppet", [view(1)])
            await engine.close()

    run(scenario())


def test_closing_answers_what_runs(puppets: Any) -> None:
    async def scenario() -> list[float]:
        async with puppets() as engine:
            slow = asyncio.create_task(echo(engine, -7, 1))
            await asyncio.sleep(0.05)
            await engine.close()
            assert engine.state is EngineState.CLOSED
            return await slow

    assert run(scenario()) == [-7, 1]


def test_check_computes_and_fails_within_its_deadline(puppets: Any) -> None:
    async def scenario() -> None:
        async with puppets() as engine:
            await engine.check()
        async with puppets() as engine:
            await asyncio.sleep(0.1)  # it has told that it lives
            with pytest.raises(WorkerLost, match="did not answer within 1e-09 s"):
                await engine.check(1e-9)

    run(scenario())


def test_a_caller_that_gives_up_costs_the_others_nothing(puppets: Any) -> None:
    async def scenario() -> None:
        rng = np.random.default_rng(0)
        async with puppets() as engine:
            tasks = {value: asyncio.create_task(echo(engine, value)) for value in range(300)}
            leaving = set(rng.choice(300, 150, replace=False).tolist())
            for value, task in tasks.items():
                if value in leaving:
                    await asyncio.sleep(rng.choice([0, 0.001]))
                    task.cancel()
            for value in tasks.keys() - leaving:
                assert await tasks[value] == [value]
            assert await echo(engine, 1000) == [1000]

    run(scenario())


def test_a_process_answers_every_task_bit_by_bit_as_a_thread_does(
    fork_server: ForkServer, tiny_checkpoints: tuple[Any, ...]
) -> None:
    settings = Settings(checkpoints=tiny_checkpoints, device="cpu", threads=1, max_batch_size=3)

    async def answers(engine: Engine) -> list[Row]:
        loaded = await engine.start()
        rows = []
        for model in loaded.models.values():
            payload, options = TINY[model.path].payload, model.preprocessor.option_type()
            samples = [model.preprocessor.decode(payload(seed), options) for seed in range(3)]
            for count in (1, 3):
                rows += await engine.run(model.name, [sample.array for sample in samples[:count]])
        await engine.close()
        return rows

    ours, theirs = run(answers(ProcessEngine(settings, fork_server=fork_server))), run(answers(LocalEngine(settings)))
    assert len(ours) == len(theirs) == 4 * len(TINY)
    for row, expected in zip(ours, theirs, strict=True):
        assert list(row) == list(expected) != []
        assert all(row[name].dtype == np.float32 and np.array_equal(row[name], expected[name]) for name in row)


def test_what_was_loaded_is_known_without_its_weights(make: Make, tiny_checkpoints: tuple[Any, ...]) -> None:
    async def scenario() -> None:
        engine = make(CPU.model_copy(update={"checkpoints": tiny_checkpoints[:1]}))
        model = (await engine.start()).models["tiny"]
        expected = TINY["classify/image"].preprocessor
        assert (model.path, model.name, model.device, model.precision) == ("classify/image", "tiny", "cpu", "float32")
        assert (model.task.modality, model.preprocessor.blank().shape) == ("image", expected.blank().shape)
        assert model.version.startswith("sha256:")
        assert model.parameters > 10_000
        rows = await engine.run("tiny", [model.preprocessor.blank()])
        answer = model.postprocessor.interpret(rows, ClassificationOptions(top_k=0))
        assert {item.label for item in answer.predictions} == set(LABELS)
        await engine.close()

    run(scenario())
