"""Models that come and go while an engine runs, tried on both kinds."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.description import CheckpointError
from preprocessors.base import Array
from service.engine import local
from service.engine.base import Engine, WorkerLost
from service.engine.fork_server import ForkServer
from service.engine.link import EngineLink
from service.engine.local import LocalEngine
from service.engine.process import ProcessEngine
from service.engine.registry import ENGINES
from service.pipeline import Pipeline, load_pipeline
from service.settings import Settings
from tests.service.engine import puppet
from tests.service.engine.conftest import CPU, Started, run, until
from tests.tiny import save_tiny

Serving = Callable[..., AbstractAsyncContextManager[Engine]]


@pytest.fixture(params=ENGINES)
def serving(request: pytest.FixtureRequest, fork_server: ForkServer, tiny_checkpoint: Path) -> Serving:
    """A running engine with the tiny classifier of images."""

    @asynccontextmanager
    async def start(**arguments: Any) -> AsyncIterator[Engine]:
        settings = CPU.model_copy(update={"checkpoints": (tiny_checkpoint,)})
        kinds: dict[str, Callable[[], Engine]] = {
            "process": lambda: ProcessEngine(settings, fork_server=fork_server, **arguments),
            "thread": lambda: LocalEngine(settings, **arguments),
        }
        engine = kinds[request.param]()
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()

    return start


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another file, of another task."""
    return save_tiny("classify/audio", tmp_path / "other.safetensors", "other")


async def answer(engine: Engine, key: str) -> Array:
    blank = engine.loaded.models[key].preprocessor.blank()
    (row,) = await engine.run(key, [blank])
    return row["logits"]


def expected(file: Path) -> Array:
    """Of a blank input, without any engine."""
    pipeline = load_pipeline(file, CPU)
    return pipeline.run([pipeline.preprocessor.blank()])[0]["logits"]


def test_a_model_that_is_added_answers_beside_the_others_until_it_is_removed(serving: Serving, other: Path) -> None:
    async def scenario() -> None:
        async with serving() as engine:
            before = await answer(engine, "tiny")
            model = await engine.load("other#1", str(other))
            assert (model.name, model.key, model.path) == ("other", "other#1", "classify/audio")
            assert model.source == str(other)
            assert list(engine.loaded.models) == ["tiny", "other#1"]
            assert np.array_equal(await answer(engine, "other#1"), expected(other))
            await engine.unload("other#1")
            assert list(engine.loaded.models) == ["tiny"]
            with pytest.raises(LookupError, match="no model 'other#1' is loaded; there is: tiny"):
                await engine.run("other#1", [model.preprocessor.blank()])
            assert np.array_equal(await answer(engine, "tiny"), before)
            await engine.unload("other#1")

    run(scenario())


def test_two_versions_of_one_name_answer_side_by_side(serving: Serving, tmp_path: Path, tiny_checkpoint: Path) -> None:
    async def scenario() -> None:
        async with serving() as engine:
            newer = save_tiny("classify/image", tmp_path / "newer.safetensors", "tiny", seed=1)
            old = engine.loaded.models["tiny"]
            new = await engine.load("tiny#1", str(newer))
            assert new.version != old.version
            assert np.array_equal(await answer(engine, "tiny"), expected(tiny_checkpoint))
            assert np.array_equal(await answer(engine, "tiny#1"), expected(newer))

    run(scenario())


def test_a_model_has_computed_its_smallest_and_largest_batch_before_it_is_loaded(
    serving: Serving, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    in_thread, in_process = Pipeline.warm_up_at, EngineLink.warm_up

    def note_in_thread(self: Pipeline, size: int) -> None:
        sizes.append(size)
        in_thread(self, size)

    def note_in_process(self: EngineLink, key: str, size: int) -> asyncio.Future[None]:
        sizes.append(size)
        return in_process(self, key, size)

    async def scenario() -> None:
        async with serving() as engine:
            monkeypatch.setattr(Pipeline, "warm_up_at", note_in_thread)
            monkeypatch.setattr(EngineLink, "warm_up", note_in_process)
            await engine.load("other#1", str(other))

    run(scenario())
    assert sizes == [1, CPU.max_batch_size]


BROKEN = [(b"no weights", "is not a checkpoint"), (None, "does not exist")]


@pytest.mark.parametrize(("content", "reason"), BROKEN)
def test_a_file_that_cannot_be_loaded_leaves_nothing_behind(
    serving: Serving, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "broken.safetensors"
    if content is not None:
        file.write_bytes(content)

    async def scenario() -> None:
        async with serving() as engine:
            loaded = engine.loaded
            with pytest.raises(CheckpointError, match=reason):
                await engine.load("broken#1", str(file))
            assert engine.loaded is loaded
            assert engine.restarts == 0
            await answer(engine, "tiny")

    run(scenario())


def test_a_thread_answers_batches_while_a_model_is_read(
    monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path, other: Path
) -> None:
    reading, gate = asyncio.Event(), threading.Event()

    async def scenario() -> None:
        engine = LocalEngine(CPU.model_copy(update={"checkpoints": (tiny_checkpoint,)}))
        await engine.start()
        loop = asyncio.get_running_loop()

        def held(source: str, settings: Settings) -> Pipeline:
            loop.call_soon_threadsafe(reading.set)
            assert gate.wait(30)
            return load_pipeline(source, settings)

        monkeypatch.setattr(local, "load_pipeline", held)
        loading = asyncio.create_task(engine.load("other#1", str(other)))
        await reading.wait()
        for _ in range(3):
            await answer(engine, "tiny")
        assert not loading.done()
        gate.set()
        assert (await loading).name == "other"
        await engine.close()

    run(scenario())


def test_a_replaced_engine_has_the_models_that_the_lost_one_had(
    fork_server: ForkServer, tiny_checkpoint: Path, other: Path
) -> None:
    async def scenario() -> None:
        settings = CPU.model_copy(update={"checkpoints": (tiny_checkpoint,)})
        engine = ProcessEngine(settings, fork_server=fork_server)
        await engine.start()
        await engine.load("other#1", str(other))
        await engine.unload("tiny")
        lost = engine.loaded
        kill(engine)
        await until(lambda: engine.loaded is not lost)
        assert list(engine.loaded.models) == ["other#1"]
        assert np.array_equal(await answer(engine, "other#1"), expected(other))
        await engine.check()
        await engine.close()

    run(scenario())


def test_a_file_that_has_gone_costs_a_replaced_engine_that_model_alone(
    started: Started, other: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with started() as engine:
            await engine.load("other#1", str(other))
            other.unlink()
            lost = engine.loaded
            kill(engine)
            await until(lambda: engine.loaded is not lost)
            assert list(engine.loaded.models) == ["puppet"]
            await engine.check()

    run(scenario())


def test_what_is_unloaded_while_the_engine_is_replaced_does_not_come_back(started: Started, other: Path) -> None:
    async def scenario() -> None:
        async with started() as engine:
            await engine.load("other#1", str(other))
            lost = engine._link
            kill(engine)
            await until(lambda: engine._link is not lost)  # the next one is told which models to load already
            assert not engine.alive
            await engine.unload("other#1")
            before = engine.loaded
            await until(lambda: engine.loaded is not before)
            assert list(engine.loaded.models) == ["puppet"]
            with pytest.raises(LookupError, match="there is: puppet"):
                await engine.run("other#1", [puppet.PuppetPreprocessor().blank()])

    run(scenario())


def test_loading_fails_with_the_process_and_can_be_tried_again(started: Started, other: Path) -> None:
    async def scenario() -> None:
        async with started() as engine:
            loading = asyncio.create_task(engine.load("other#1", str(other)))
            await asyncio.sleep(0)
            kill(engine)
            with pytest.raises(WorkerLost):
                await loading
            await until(lambda: engine.restarts == 1 and engine.alive)
            assert list(engine.loaded.models) == ["puppet"]
            await engine.load("other#2", str(other))
            await answer(engine, "other#2")

    run(scenario())


def test_a_model_that_nobody_waits_for_any_more_is_let_go(started: Started, other: Path) -> None:
    async def scenario() -> None:
        async with started() as engine:
            loading = asyncio.create_task(engine.load("other#1", str(other)))
            await asyncio.sleep(0)
            loading.cancel()
            await asyncio.wait([loading])
            assert engine._link is not None
            await until(lambda: not engine._link._additions)  # type: ignore[union-attr]
            assert list(engine.loaded.models) == ["puppet"]
            with pytest.raises(LookupError, match="there is: puppet"):
                await engine.run("other#1", [puppet.PuppetPreprocessor().blank()])

    run(scenario())


def test_the_engine_tells_how_much_memory_it_takes(serving: Serving) -> None:
    async def scenario() -> None:
        async with serving() as engine:
            await until(lambda: bool(engine.memory))
            assert engine.memory["resident"] > 50e6
            assert not any(kind.startswith("device") for kind in engine.memory)

    run(scenario())


def kill(engine: ProcessEngine) -> None:
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)


def test_a_model_whose_file_has_gone_is_missing_until_it_is_back(started: Started, other: Path) -> None:
    async def scenario() -> None:
        async with started(max_backoff_s=0.05) as engine:
            await engine.load("other#1", str(other))
            elsewhere = other.rename(other.with_suffix(".elsewhere"))
            kill(engine)
            await until(lambda: engine.restarts == 1 and "other#1" in engine.missing)
            assert list(engine.loaded.models) == ["puppet"]
            with pytest.raises(WorkerLost, match="other#1 was lost with the engine"):
                await engine.run("other#1", [puppet.PuppetPreprocessor().blank()])
            await until(lambda: str(other) in engine.missing["other#1"].reason)

            kill(engine)  # the next engine is to have it, too
            await until(lambda: engine.restarts == 2 and engine.alive)
            elsewhere.rename(other)
            await until(lambda: not engine.missing)
            await answer(engine, "other#1")

    run(scenario())


def test_a_missing_model_that_is_unloaded_is_not_missed_any_more(started: Started, other: Path) -> None:
    async def scenario() -> None:
        async with started(max_backoff_s=0.05) as engine:
            await engine.load("other#1", str(other))
            elsewhere = other.rename(other.with_suffix(".elsewhere"))
            kill(engine)
            await until(lambda: "other#1" in engine.missing)
            await engine.unload("other#1")
            assert not engine.missing
            elsewhere.rename(other)
            await asyncio.sleep(0.2)
            assert list(engine.loaded.models) == ["puppet"]

    run(scenario())
