"""An engine without a model, whose time is the test's to decide."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from models.postprocessors.base import Row
from preprocessors.base import Array
from service.engine.base import EngineState, Loaded, MissingModel, ModelInfo

Cost = Callable[[str, int], float]


def view(value: float) -> Array:
    return np.array([value], np.float32)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeEngine:
    """Doubles every view, batch after batch, and notes the batches that it was given.

    It waits at `gate` while that is shut. `faults`: what a batch with this value raises. cost: seconds that a batch of
    a model with so many numbers takes on `clock`, which moves for no other reason.
    """

    restarts = 0
    loaded = Loaded({})
    missing: Mapping[str, MissingModel] = {}
    fault: str | None = None
    memory: Mapping[str, float] = {}
    state = EngineState.READY
    alive = True

    def __init__(self, depth: int = 1, cost: Cost = lambda model, size: 0.0) -> None:
        self.depth, self.cost = depth, cost
        self.clock = Clock()
        self.batches: list[tuple[str, list[float]]] = []
        self.spent: dict[str, float] = {}
        self.faults: dict[float, Exception] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self._device = asyncio.Lock()

    @property
    def values(self) -> list[list[float]]:
        return [values for _, values in self.batches]

    async def run(self, model: str, views: Sequence[Array]) -> list[Row]:
        values = [float(item[0]) for item in views]
        self.batches.append((model, values))
        async with self._device:
            await self.gate.wait()
            await asyncio.sleep(0)
            seconds = self.cost(model, sum(item.size for item in views))
            self.clock.now += seconds
            self.spent[model] = self.spent.get(model, 0.0) + seconds
        for value in values:
            if value in self.faults:
                raise self.faults[value]
        return [{"logits": np.array([2 * value], np.float32)} for value in values]

    async def start(self) -> Loaded:
        return Loaded({})

    async def load(self, key: str, source: str) -> ModelInfo:
        raise NotImplementedError

    async def unload(self, key: str) -> None:
        raise NotImplementedError

    async def check(self, timeout_s: float = 5.0) -> None:
        """It works."""

    async def close(self) -> None:
        """There is nothing to leave."""
