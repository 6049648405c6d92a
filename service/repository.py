"""The models that answer, by name. They come, go and are replaced while requests are served."""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from enum import StrEnum
from typing import Any, TypeVar

from models.description import CheckpointError
from service.engine.base import Engine, Loaded, MissingModel, ModelInfo, WorkerLost
from service.errors import Problem, model_not_found
from service.holds import Holds

T = TypeVar("T")

log = logging.getLogger(__name__)


class ModelState(StrEnum):
    """As the Open Inference Protocol calls them."""

    READY = "READY"
    LOADING = "LOADING"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"


class Repository:
    """A version is seen once it is warm, and then at once, in place of the one before, which answers those it has.

    prepare: is awaited before a model is seen. forget: is told of the key of a model that has gone. changing: what is
    being done to which name. faults: why a name could not be loaded, the last time. One change is made at a time, and
    goes on where the one who asked for it has left. Belongs to one event loop.
    """

    def __init__(
        self, engine: Engine, prepare: Callable[[ModelInfo], Awaitable[None]], forget: Callable[[str], None]
    ) -> None:
        self.changing: dict[str, ModelState] = {}
        self.faults: dict[str, str] = {}
        self._engine, self._prepare, self._forget = engine, prepare, forget
        self._keys: Mapping[str, str] = {}  # of the models that are seen, by name
        self._names: dict[str, str] = {}  # the other way round, and of those that leave
        self._models: Mapping[str, ModelInfo] = {}
        self._models_of: Loaded | None = None
        self._holds = Holds()
        self._numbers = itertools.count(1)
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    def open(self) -> None:
        """Show what the engine has loaded."""
        self._show({model.name: key for key, model in self._engine.loaded.models.items()})

    @property
    def models(self) -> Mapping[str, ModelInfo]:
        """By name, in the order of the settings. A replaced engine has loaded them anew."""
        loaded = self._engine.loaded
        if loaded is not self._models_of:
            self._models = {name: loaded.models[key] for name, key in self._keys.items() if key in loaded.models}
            self._models_of = loaded
        return self._models

    @property
    def missing(self) -> Mapping[str, MissingModel]:
        """Of those that should answer, what a replaced engine could not load again yet; by name."""
        lost = self._engine.missing
        return {name: lost[key] for name, key in self._keys.items() if key in lost} if lost else {}

    def first(self, path: str) -> str | None:
        """The name of a task's default, whether it is missing or not."""
        missing = {name: lost.model for name, lost in self.missing.items()}
        models = {**self.models, **missing}
        return next((name for name in self._keys if name in models and models[name].path == path), None)

    def name(self, key: str) -> str | None:
        """Of a model that is seen, or was until it was replaced."""
        return self._names.get(key)

    def hold(self, models: Iterable[ModelInfo]) -> AbstractContextManager[None]:
        """Inside the block these stay loaded."""
        return self._holds.hold(model.key for model in models)

    async def load(self, name: str, source: str) -> ModelInfo:
        """Load a model, or a new version of it. Raises Problem and WorkerLost, and then all stays as it was."""
        return await self._change(name, ModelState.LOADING, self._load(name, source))

    async def unload(self, name: str) -> None:
        """Take a model away; returns when it has answered its last request. Raises Problem 404."""
        await self._change(name, ModelState.UNLOADING, self._unload(name))

    async def close(self) -> None:
        """Give up what is being changed."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    async def _change(self, name: str, state: ModelState, change: Coroutine[Any, Any, T]) -> T:
        return await asyncio.shield(self._start(self._in_turn(name, state, change)))

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):  # whoever asked may have gone
            log.warning(
                "model change failed; still serving the previous models: %s",
                error.detail if isinstance(error, Problem) else error,
            )

    async def _in_turn(self, name: str, state: ModelState, change: Coroutine[Any, Any, T]) -> T:
        try:
            async with self._turn:
                self.changing[name] = state
                return await change
        finally:
            self.changing.pop(name, None)
            change.close()  # where it never began

    async def _load(self, name: str, source: str) -> ModelInfo:
        began, key = time.perf_counter(), self._new_key(name)
        try:
            model = await self._loaded(name, key, source)
        except Problem as problem:
            self.faults[name] = problem.detail
            raise
        self.faults.pop(name, None)
        old = self._keys.get(name)
        self._show({**self._keys, name: key})
        if old is not None:
            self._start(self._retire(old))
        log.info("loaded %s %s in %.1f s", name, model.version, time.perf_counter() - began)
        return model

    def _new_key(self, name: str) -> str:
        keys = (f"{name}#{number}" for number in self._numbers)
        return next(key for key in keys if key not in self._engine.loaded.models)

    async def _loaded(self, name: str, key: str, source: str) -> ModelInfo:
        with refusals(source):
            model = await self._engine.load(key, source)
            try:
                if model.name != name:
                    raise CheckpointError(f"it contains a model named {model.name!r}, expected {name!r}")
                await self._prepare(model)
            except BaseException:
                self._start(self._remove(key))
                raise
        return model

    async def _unload(self, name: str) -> None:
        if name not in self.models and name not in self.missing:
            raise model_not_found(name, self.models)
        key = self._keys[name]
        self._show({other: kept for other, kept in self._keys.items() if other != name})
        await self._retire(key)
        log.info("unloaded %s", name)

    def _show(self, keys: Mapping[str, str]) -> None:
        self._keys, self._models_of = keys, None
        self._names |= {key: name for name, key in keys.items()}

    async def _retire(self, key: str) -> None:
        await self._holds.released(key)
        await self._remove(key)

    async def _remove(self, key: str) -> None:
        with suppress(WorkerLost):  # the one that replaces it comes without
            await self._engine.unload(key)
        self._names.pop(key, None)
        self._forget(key)


@contextmanager
def refusals(source: str) -> Iterator[None]:
    """What a checkpoint is to blame for, as Problem 422 with the reason. A lost engine is not its doing."""
    try:
        yield
    except (Problem, WorkerLost):
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise Problem(
            422, "model_not_loaded", f"{source} could not be loaded: {reason}; still serving the previous models"
        ) from error
