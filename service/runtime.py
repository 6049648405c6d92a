"""What a running server holds: decode workers, the device's queue, the models, and whether it is ready."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from models.heads.base import Row
from preprocessors.base import Sample
from service.batcher import Batcher, Prediction
from service.decoding import DecodePool
from service.errors import Problem, not_ready
from service.pipeline import Pipeline, load_pipelines
from service.settings import Settings
from service.tasks import TASKS

Announce = Callable[[list[Pipeline]], None]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Perceived:
    """One input, all the way through: what was decoded, what the model said of each view, and how long it took."""

    sample: Sample
    predictions: Sequence[Prediction]
    decode_ms: float

    @property
    def rows(self) -> list[Row]:
        return [prediction.row for prediction in self.predictions]

    @property
    def queue_ms(self) -> float:
        return max(prediction.queue_ms for prediction in self.predictions)

    @property
    def forward_ms(self) -> float:
        return max(prediction.forward_ms for prediction in self.predictions)

    @property
    def batch_size(self) -> int:
        return max(prediction.batch_size for prediction in self.predictions)


class Runtime:
    """Use as an async context manager; models load and warm up behind it, then `ready` turns true and is announced."""

    def __init__(self, settings: Settings, announce: Announce | None = None) -> None:
        self.announce = announce or (lambda pipelines: None)
        self.settings = settings
        self.pipelines: dict[str, Pipeline] = {}
        self.ready = False
        self.draining = False
        self.fault: str | None = None
        self.batcher = Batcher(settings.max_batch_size, settings.max_queue)
        self.decoding = DecodePool(
            settings.decode_workers,
            settings.decode_timeout_s,
            settings.decode_memory_bytes,
            modules=sorted({task.preprocessor.__module__ for task in TASKS.values()}),
        )
        self._loading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Runtime":
        self._loading = asyncio.create_task(self._load())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.ready, self.draining = False, True
        if self._loading is not None:
            await self._loading
        await self.batcher.close()
        await asyncio.to_thread(self.decoding.close)

    async def _load(self) -> None:
        try:
            started = time.perf_counter()
            self.pipelines = await asyncio.to_thread(self._load_and_warm_up)
            log.info("ready with %s after %.1f s", ", ".join(self.pipelines), time.perf_counter() - started)
            self.ready = True
            self.announce(list(self.pipelines.values()))
        except Exception as error:
            log.critical("loading failed: %s", error, exc_info=error)
            self.fault = str(error)

    def _load_and_warm_up(self) -> dict[str, Pipeline]:
        self.decoding.warm_up()
        pipelines = load_pipelines(self.settings)
        for pipeline in pipelines.values():
            pipeline.warm_up(self.settings.max_batch_size)
        return pipelines

    def check_alive(self) -> None:
        """Raises Problem 503 where loading failed: only a restart can help."""
        if self.fault is not None:
            raise not_ready(f"the models could not be loaded: {self.fault}", retry_after_s=60)

    def check_ready(self) -> None:
        """Raises Problem 503 while models load, after loading failed, and while the server drains."""
        self.check_alive()
        if self.draining:
            raise not_ready("the server is shutting down: another replica answers")
        if not self.ready:
            raise not_ready("the models are loading: try again in a moment")

    def pipeline(self, path: str, name: str | None) -> Pipeline:
        """The named model of a task, or its first. Raises Problem 404 naming those there are."""
        self.check_ready()
        candidates = {key: value for key, value in self.pipelines.items() if value.path == path}
        if name is None and candidates:
            return next(iter(candidates.values()))
        if name not in candidates:
            known = ", ".join(candidates) or "none"
            raise Problem(404, "model_not_found", f"no model {name!r} answers /{path}; there is: {known}")
        return candidates[name]

    async def perceive(self, pipeline: Pipeline, payload: bytes, options: Any) -> Perceived:
        """Decode in a worker process, then share a forward pass. Raises PayloadError and Overloaded."""
        started = time.perf_counter()
        sample = await self.decoding.decode(pipeline.preprocessor, payload, options)
        decode_ms = 1e3 * (time.perf_counter() - started)
        predictions = await self.batcher.submit(sample.views, pipeline.run)
        return Perceived(sample, predictions, decode_ms)
