"""The contract of every engine: it is told which batch to run, and answers with a row for every view."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from models.description import ModelCard
from models.postprocessors.base import Postprocessor, Row
from preprocessors.base import Array, Preprocessor
from service.settings import Settings
from service.tasks import Task

if TYPE_CHECKING:  # of what the engine alone imports
    from service.pipeline import Pipeline

T = TypeVar("T")
Load = Callable[[Settings], "Mapping[str, Pipeline]"]
OnLost = Callable[[str], None]  # is told why


class OutOfMemory(Exception):
    """The batch does not fit the device. The engine goes on, and a smaller batch may fit."""


@dataclass(eq=False)
class WorkerLost(Exception):
    """The engine died or hung before the batch was answered, or there is none at the moment.

    retry_after_s: how long starting one took the last time.
    """

    detail: str
    retry_after_s: float = 1.0

    def __str__(self) -> str:
        return self.detail


class EngineState(StrEnum):
    """`failed`: the models could not be loaded, and only a restart with other settings helps."""

    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True)
class ModelInfo:
    """All of a loaded model but its weights. `path` is its task's URL.

    key: what the engine knows it by; two versions of one name have different ones. source: see `read_checkpoint`; None
    where the model was not read from any.
    """

    path: str
    task: Task
    card: ModelCard
    version: str
    preprocessor: Preprocessor[Any]
    postprocessor: Postprocessor
    device: str
    precision: str
    runtime: str
    parameters: int
    key: str
    source: str | None = None

    @property
    def name(self) -> str:
        return self.card.name


@dataclass(frozen=True)
class Loaded:
    """The models that an engine runs, by key, in the order they came. At its start the key is the name."""

    models: Mapping[str, ModelInfo]

    def with_model(self, model: ModelInfo) -> "Loaded":
        return Loaded({**self.models, model.key: model})

    def without(self, key: str) -> "Loaded":
        return Loaded({other: model for other, model in self.models.items() if other != key})


@dataclass(frozen=True)
class MissingModel:
    """One that the lost engine ran, and the one that replaces it does not. reason: why not."""

    model: ModelInfo
    reason: str


@dataclass(frozen=True)
class EngineOptions:
    """depth: runs that may be outstanding; with 2, one is computed while the bytes of the next are in place already.

    hang_timeout_s: a batch that takes longer means that the engine hangs. stall_s, tolerance: so does one that computes
    nothing for so long, nor for so many times what the batch should take. heartbeat_s: how often an idle engine is
    asked whether it lives. start_timeout_s: longest loading. max_backoff_s: longest pause between attempts to replace
    an engine; the first is made at once. recovery_s: after so long without one, it is not to be expected any more.
    fresh_s: how long an answered batch proves that the engine works.
    """

    depth: int = 2
    hang_timeout_s: float = 30.0
    stall_s: float = 1.5
    tolerance: float = 20.0
    heartbeat_s: float = 10.0
    start_timeout_s: float = 600.0
    max_backoff_s: float = 30.0
    recovery_s: float = 300.0
    fresh_s: float = 5.0

    def backoff_s(self, failures: int) -> float:
        """Pause before the next attempt after so many that failed: 0, 1, 2, 4, ... seconds."""
        return min(self.max_backoff_s, 2.0 ** min(failures - 1, 16)) if failures else 0.0


class Engine(Protocol):
    """depth: how many runs may be outstanding. restarts: how often the engine was replaced. loaded: what it runs now;
    another object after every change."""

    depth: int
    restarts: int
    loaded: Loaded

    @property
    def missing(self) -> Mapping[str, MissingModel]:
        """What it should run besides, by key; it is tried again and again."""
        ...

    @property
    def state(self) -> EngineState: ...

    @property
    def alive(self) -> bool:
        """Whether `run` would run a batch now."""
        ...

    @property
    def fault(self) -> str | None:
        """Why there has been no engine for so long that waiting for one is no use; it is still tried to make one."""
        ...

    @property
    def memory(self) -> Mapping[str, float]:
        """Bytes in use, by kind, as last told; see `memory_in_use`."""
        ...

    async def start(self) -> Loaded:
        """Load the models and warm them up. Raises what loading raises, such as CheckpointError, and WorkerLost."""
        ...

    async def run(self, model: str, views: Sequence[Array]) -> list[Row]:
        """Rows of one batch, in the order of the views.

        Raises what the model raises, OutOfMemory, and WorkerLost. A caller that is cancelled leaves a batch that was
        handed over to be computed, and its place to the next once it is.
        """
        ...

    async def load(self, key: str, source: str) -> ModelInfo:
        """Load one more model and warm it up, while the others compute; it outlives a replacement of the engine.

        Where it fails, nothing is left of it. Raises CheckpointError, OutOfMemory, TimeoutError, WorkerLost.
        """
        ...

    async def unload(self, key: str) -> None:
        """Let a model go, behind the runs that were handed over. It is no error where it is gone."""
        ...

    async def check(self, timeout_s: float = 5.0) -> None:
        """Compute something small, unless that was just done, or it computes anyway. Raises WorkerLost where it takes
        well longer than it should, or what the model raises."""
        ...

    async def close(self) -> None:
        """Finish what runs, then leave nothing behind."""
        ...


async def computed(answer: Awaitable[Any], timeout_s: float) -> None:
    """Wait for a check's answer. Raises WorkerLost where it takes too long, and what the answer raises."""
    try:
        await asyncio.wait_for(answer, timeout_s)
    except TimeoutError:
        raise WorkerLost(f"the engine did not answer within {timeout_s:g} s", timeout_s) from None


def find(models: Mapping[str, T], model: str) -> T:
    """Raises LookupError naming those there are."""
    if model not in models:
        raise LookupError(f"no model {model!r} is loaded; there is: {', '.join(models)}")
    return models[model]
