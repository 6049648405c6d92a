"""An engine in a thread of this process: for tests, and where one process is all there may be."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, TypeVar

from models.postprocessors.base import Row
from models.predictor import resolve_device
from preprocessors.base import Array
from service.engine.base import EngineState, Load, Loaded, MissingModel, ModelInfo, WorkerLost, computed, find
from service.engine.device import Device, engine_device
from service.engine.faults import translated
from service.engine.memory import memory_in_use
from service.engine.model_info import model_info
from service.engine.warm_up import Run, run_on, warmed_up
from service.loading import CHECKPOINTS
from service.pipeline import Pipeline, load_pipeline
from service.settings import Settings

T = TypeVar("T")


class LocalEngine:
    """What crashes or hangs it crashes or hangs the whole process. See ProcessEngine for the arguments."""

    fault: str | None = None
    missing: Mapping[str, MissingModel] = {}

    def __init__(
        self, settings: Settings, device: str | None = None, *, depth: int = 1, load: Load = CHECKPOINTS
    ) -> None:
        self.depth = depth
        self.restarts = 0
        self.state = EngineState.STARTING
        self._settings = settings.model_copy(update={"device": device}) if device else settings
        self._load = load
        self.loaded = Loaded({})
        self._pipelines: dict[str, Pipeline] = {}
        self._runs: dict[str, Run] = {}
        self._running = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")

    @cached_property
    def _device(self) -> Device:
        return engine_device(resolve_device(self._settings.device))

    @property
    def alive(self) -> bool:
        return self.state is EngineState.READY

    @property
    def memory(self) -> Mapping[str, float]:
        return memory_in_use()

    async def start(self) -> Loaded:
        """What was loaded, once it is warmed up. Raises CheckpointError, ValueError."""
        try:
            self.loaded = await self._in_thread(self._load_and_warm_up)
        except Exception:
            self.state = EngineState.FAILED
            raise
        self.state = EngineState.READY
        return self.loaded

    async def run(self, model: str, views: Sequence[Array]) -> list[Row]:
        """See Engine."""
        if not self.alive:
            raise WorkerLost(f"the engine is {self.state}: try again later")
        try:
            return await self._in_thread(self._run, model, views)
        except Exception as error:
            raise translated(error) from error

    async def load(self, key: str, source: str) -> ModelInfo:
        """See Engine."""
        if not self.alive:
            raise WorkerLost(f"the engine is {self.state}: try again later")
        try:
            pipeline = await asyncio.to_thread(load_pipeline, source, self._settings)
            for size in self._settings.warm_up_sizes:
                await self._in_thread(pipeline.warm_up_at, size)
            run = await self._in_thread(run_on, self._device, pipeline, self._settings)
        except Exception as error:
            raise translated(error) from error
        model = model_info(pipeline, key)
        self._pipelines[key], self._runs[key] = pipeline, run
        self.loaded = self.loaded.with_model(model)
        return model

    async def unload(self, key: str) -> None:
        """See Engine."""
        self.loaded = self.loaded.without(key)
        if self.alive:
            await self._in_thread(self._remove, key)

    async def check(self, timeout_s: float = 5.0) -> None:
        """See Engine."""
        if self._running:
            return
        for name, pipeline in list(self._pipelines.items())[:1]:
            await computed(self.run(name, [pipeline.preprocessor.blank()]), timeout_s)

    async def close(self) -> None:
        """See Engine."""
        self.state = EngineState.CLOSED
        await asyncio.to_thread(self._thread.shutdown)

    async def _in_thread(self, function: Callable[..., T], *args: Any) -> T:
        self._running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
        finally:
            self._running -= 1

    def _load_and_warm_up(self) -> Loaded:
        self._device.enter()
        self._pipelines = dict(self._load(self._settings))
        self._runs = warmed_up(self._pipelines, self._settings, self._device)
        return Loaded({key: model_info(pipeline, key) for key, pipeline in self._pipelines.items()})

    def _remove(self, key: str) -> None:
        self._pipelines.pop(key, None)
        self._runs.pop(key, None)
        self._device.release()

    def _run(self, model: str, views: Sequence[Array]) -> list[Row]:
        return find(self._runs, model)(views)
