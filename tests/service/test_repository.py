"""Models that come, go and are replaced, on an engine that loads when the test says so."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from models.description import CheckpointError, ModelCard
from service.engine.base import Loaded, ModelInfo, OutOfMemory, WorkerLost
from service.engine.model_info import model_info
from service.errors import Problem
from service.pipeline import load_pipeline
from service.repository import ModelState, Repository
from service.settings import Settings
from tests.service.fake_engine import FakeEngine


class ShelfEngine(FakeEngine):
    """Loads `like` under the name that its source says, while `gate` is open; `loading` are the keys at it."""

    def __init__(self, like: ModelInfo) -> None:
        super().__init__()
        self.like = like
        self.loading: list[str] = []
        self.loaded = Loaded({name: self._named(name, name) for name in ("first", "second")})

    async def load(self, key: str, source: str) -> ModelInfo:
        self.loading.append(key)
        await self.gate.wait()
        if source in self.refusals:
            raise self.refusals[source]
        model = self._named(key, source)
        self.loaded = self.loaded.with_model(model)
        return model

    async def unload(self, key: str) -> None:
        self.loaded = self.loaded.without(key)

    def _named(self, key: str, name: str) -> ModelInfo:
        return replace(self.like, key=key, card=ModelCard(name), version=f"version of {key}")

    refusals: dict[str, Exception] = {}


@dataclass
class Shop:
    engine: ShelfEngine
    forgotten: list[str] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)
    unfit: Exception | None = None

    def __post_init__(self) -> None:
        self.repository = Repository(self.engine, self._prepare, self.forgotten.append)
        self.repository.open()

    async def _prepare(self, model: ModelInfo) -> None:
        assert model not in self.repository.models.values()
        self.prepared.append(model.key)
        if self.unfit is not None:
            raise self.unfit

    @property
    def keys(self) -> list[str]:
        return [model.key for model in self.repository.models.values()]


Scenario = Callable[[Shop], Coroutine[Any, Any, None]]


@pytest.fixture
def shop(tiny_checkpoint: Path) -> Shop:
    return Shop(ShelfEngine(model_info(load_pipeline(tiny_checkpoint, Settings(device="cpu")))))


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 10))


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_model_is_seen_once_it_is_loaded_and_prepared(shop: Shop) -> None:
    async def scenario() -> None:
        shop.engine.gate.clear()
        loading = asyncio.create_task(shop.repository.load("third", "third"))
        await settled()
        assert shop.repository.changing == {"third": ModelState.LOADING}
        assert list(shop.repository.models) == ["first", "second"]
        shop.engine.gate.set()
        model = await loading
        assert shop.prepared == [model.key]
        assert list(shop.repository.models) == ["first", "second", "third"]
        assert shop.repository.changing == {}

    run(scenario())


def test_a_new_version_takes_the_place_of_the_old_one_which_leaves_when_it_is_done(shop: Shop) -> None:
    async def scenario() -> None:
        old = shop.repository.models["first"]
        with shop.repository.hold([old]):
            new = await shop.repository.load("first", "first")
            assert shop.keys == [new.key, "second"]
            assert new.version != old.version
            await settled()
            assert old.key in shop.engine.loaded.models
            assert shop.repository.name(old.key) == "first"
            assert not shop.forgotten
        await settled()
        assert old.key not in shop.engine.loaded.models
        assert shop.forgotten == [old.key]
        assert shop.repository.name(old.key) is None

    run(scenario())


def test_unloading_hides_a_model_at_once_and_waits_for_those_who_use_it(shop: Shop) -> None:
    async def scenario() -> None:
        with shop.repository.hold(shop.repository.models.values()):
            leaving = asyncio.create_task(shop.repository.unload("first"))
            await settled()
            assert (shop.keys, leaving.done()) == (["second"], False)
            assert shop.repository.changing == {"first": ModelState.UNLOADING}
            assert "first" in shop.engine.loaded.models
        await leaving
        assert list(shop.engine.loaded.models) == ["second"]

    run(scenario())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CheckpointError("it is broken"), "it is broken"),
        (OutOfMemory("2 GiB more"), "2 GiB more"),
        (TimeoutError(), "TimeoutError"),
    ],
)
@pytest.mark.parametrize("stage", ["loading", "preparing"])
def test_what_cannot_be_loaded_is_told_and_changes_nothing(shop: Shop, error: Exception, told: str, stage: str) -> None:
    async def scenario() -> None:
        shop.engine.refusals = {"first": error} if stage == "loading" else {}
        shop.unfit = error if stage == "preparing" else None
        with pytest.raises(
            Problem, match=f"first could not be loaded: {told}; still serving the previous models"
        ) as caught:
            await shop.repository.load("first", "first")
        assert (caught.value.status, caught.value.code) == (422, "model_not_loaded")
        await settled()
        assert shop.keys == list(shop.engine.loaded.models) == ["first", "second"]
        assert told in shop.repository.faults["first"]
        shop.engine.refusals, shop.unfit = {}, None
        await shop.repository.load("first", "first")
        assert shop.repository.faults == {}

    run(scenario())


def test_a_file_with_another_model_inside_is_refused(shop: Shop) -> None:
    async def scenario() -> None:
        with pytest.raises(Problem, match="it contains a model named 'other', expected 'first'"):
            await shop.repository.load("first", "other")
        await settled()
        assert list(shop.engine.loaded.models) == ["first", "second"]

    run(scenario())


def test_a_lost_engine_is_not_the_checkpoints_fault(shop: Shop) -> None:
    async def scenario() -> None:
        shop.engine.refusals = {"first": WorkerLost("it ended")}
        with pytest.raises(WorkerLost):
            await shop.repository.load("first", "first")
        assert shop.repository.faults == {}

    run(scenario())


def test_changes_are_made_one_at_a_time(shop: Shop) -> None:
    async def scenario() -> None:
        shop.engine.gate.clear()
        changes = [asyncio.create_task(shop.repository.load(name, name)) for name in ("third", "fourth")]
        await settled()
        assert shop.engine.loading == ["third#1"]
        shop.engine.gate.set()
        await asyncio.gather(*changes)
        assert list(shop.repository.models) == ["first", "second", "third", "fourth"]

    run(scenario())


def test_loading_goes_on_where_the_one_who_asked_has_left(shop: Shop) -> None:
    async def scenario() -> None:
        shop.engine.gate.clear()
        asking = asyncio.create_task(shop.repository.load("third", "third"))
        await settled()
        asking.cancel()
        await asyncio.wait([asking])
        shop.engine.gate.set()
        await settled()
        assert "third" in shop.repository.models

    run(scenario())


def test_models_that_a_replaced_engine_does_not_have_are_not_seen(shop: Shop) -> None:
    async def scenario() -> None:
        shop.engine.loaded = shop.engine.loaded.without("first")
        assert shop.keys == ["second"]
        with pytest.raises(Problem, match="no model named 'first'; available: second"):
            await shop.repository.unload("first")

    run(scenario())


def test_closing_gives_up_what_is_being_changed(shop: Shop) -> None:
    async def scenario() -> None:
        shop.engine.gate.clear()
        changes = [asyncio.create_task(shop.repository.load(name, name)) for name in ("third", "fourth")]
        await settled()
        await shop.repository.close()
        results = await asyncio.gather(*changes, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        assert shop.repository.changing == {}

    run(scenario())
