"""What a running server holds: decode workers, the engine and its queue, the models, and whether it is ready."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from models.description import CheckpointError
from models.postprocessors.base import Row
from preprocessors.base import Sample
from service.admission import Admission, Bounds, Load
from service.call import current_call
from service.decode_worker import Preparation
from service.decoders import Decoders
from service.decoding import DecodersUnavailable
from service.engine.base import Engine, EngineOptions, ModelInfo, OutOfMemory, WorkerLost
from service.engine.base import Load as LoadModels
from service.engine.registry import ENGINES
from service.errors import draining, model_not_found, not_ready
from service.estimates import Estimates
from service.json_answer import to_json
from service.lane import Prediction
from service.loading import CHECKPOINTS
from service.metrics import Metrics
from service.model_statistics import Statistics
from service.open_requests import OpenRequests
from service.priority import Priority
from service.repository import Repository
from service.scheduler import Scheduler
from service.settings import Settings
from service.slots import Slots
from service.sources import Sources
from service.tasks import TASKS
from service.tracing import spans_of

Announce = Callable[[list[ModelInfo]], None]

EXPRESS_WORKERS = 1  # more than the settings say, for files that take no time

# Why models are not loaded, where the message says all there is to say: the operator's to mend, or the machine's
PLAIN_FAULTS = (CheckpointError, DecodersUnavailable, OSError, OutOfMemory, ValueError, WorkerLost)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Perceived:
    """One input, all the way through: what was decoded, what the model said of each view, and how long it took."""

    sample: Sample
    predictions: Sequence[Prediction]
    decode_ms: float
    decode_wait_ms: float = 0.0

    @property
    def rows(self) -> list[Row]:
        return [prediction.row for prediction in self.predictions]

    @property
    def queue_ms(self) -> float:
        """Waiting for a decode worker, and then for the device."""
        return self.decode_wait_ms + max(prediction.queue_ms for prediction in self.predictions)

    @property
    def forward_ms(self) -> float:
        return max(prediction.forward_ms for prediction in self.predictions)

    @property
    def batch_size(self) -> int:
        return max(prediction.batch_size for prediction in self.predictions)


class Runtime:
    """Use as an async context manager; models load and warm up behind it, then `ready` turns true and is announced.

    load: what makes the models of the settings; the engine calls it, in its own process.
    """

    def __init__(self, settings: Settings, announce: Announce | None = None, load: LoadModels = CHECKPOINTS) -> None:
        self.announce = announce or (lambda models: None)
        self.settings = settings
        self.ready = False
        self.fault: str | None = None
        self.open_requests = OpenRequests()
        self.metrics = Metrics()
        self.statistics = Statistics()
        self.spans = spans_of()
        self.engine: Engine = ENGINES[settings.engine](settings, engine_options(settings), load)
        self.scheduler = Scheduler(self.engine, settings.max_batch_size, settings.max_batch_elements, self._note_batch)
        self.repository = Repository(self.engine, self._warm_up, self._forget)
        self.sources = Sources(settings.checkpoints)
        self.estimates = Estimates(self.scheduler.costs, settings.max_batch_size)
        bounds = Bounds(settings.max_queue, settings.max_queue_bytes, settings.max_queue_wait_s)
        self.admission = Admission(bounds, settings.decode_workers)
        self.metrics.watch(self.admission, self.open_requests, self.engine, lambda: self.models.values())
        self.decode_slots = Slots(settings.decode_workers, EXPRESS_WORKERS)
        self.decoding = Decoders(
            settings.decode_workers, EXPRESS_WORKERS, settings.decode_timeout_s, preparation(settings)
        )
        self._loading: asyncio.Task[None] | None = None

    @property
    def models(self) -> Mapping[str, ModelInfo]:
        """Those that answer, by name; the first of a task is its default."""
        return self.repository.models

    async def __aenter__(self) -> "Runtime":
        self._loading = asyncio.create_task(self._load())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Whatever fails to close, the rest is closed. What came last goes first."""
        self.ready, self.open_requests.leaving, self.open_requests.draining = False, True, True
        async with AsyncExitStack() as closing:
            if self.spans is not None:
                closing.push_async_callback(asyncio.to_thread, self.spans.close)
            for part in (self.decoding, self.engine, self.scheduler, self.repository):
                closing.push_async_callback(part.close)
            await self._give_up_loading()

    async def _give_up_loading(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])

    async def _load(self) -> None:
        try:
            await self._load_models()
        except Exception as error:
            log.critical(
                "the models cannot be loaded: %s", error, exc_info=None if isinstance(error, PLAIN_FAULTS) else error
            )
            self.fault = str(error)

    async def _load_models(self) -> None:
        started = time.perf_counter()
        loaded, _ = await asyncio.gather(self.engine.start(), self.decoding.start())
        for model in loaded.models.values():
            await self._warm_up(model)
        for model in loaded.models.values():  # again: what came between has taken the processor's caches
            await self._answer_example(model)
        self.repository.open()
        self.ready = True
        if not self.open_requests.leaving:
            log.info("ready with %s after %.1f s", ", ".join(self.models), time.perf_counter() - started)
            self.announce(list(self.models.values()))

    async def _warm_up(self, model: ModelInfo) -> None:
        """Answer an example, and time the smallest batch and the largest: the first requests are not slower than
        others, nor admitted by guesses."""
        await self._answer_example(model)
        for size in self.settings.warm_up_sizes:
            await self.scheduler.submit(model.key, [model.preprocessor.blank()] * size, Priority.BULK)

    async def _answer_example(self, model: ModelInfo) -> None:
        sample = await self.decoding.warm_up(model.preprocessor)
        if sample is not None:
            await self._answer(model, sample)

    async def _answer(self, model: ModelInfo, sample: Sample) -> None:
        """As a request would be. An example that a model cannot answer is no reason not to serve it."""
        try:
            predictions = await self.scheduler.submit(model.key, sample.views, Priority.BULK)
            rows = [prediction.row for prediction in predictions]
            to_json(vars(model.postprocessor.interpret(rows, model.postprocessor.option_type(), sample.context)))
        except Exception as error:
            log.warning("warm-up: %s fails on the sample file of its preprocessor: %s", model.name, error)

    def _note_batch(self, key: str, size: int, seconds: float) -> None:
        """Of those that answered somebody: before a model is seen, it only warms up."""
        name = self.repository.name(key)
        if name is not None:
            self.metrics.batch(name, size, seconds)
            self.statistics.batch(key, size, seconds)

    def _forget(self, key: str) -> None:
        self.scheduler.forget(key)
        self.estimates.forget(key)
        self.statistics.forget(key)

    async def loaded(self) -> None:
        """Wait for the models. Raises Problem 503 where loading failed."""
        if self._loading is not None:
            await asyncio.wait([self._loading])
        self.check_ready()

    def check_alive(self) -> None:
        """Raises Problem 503 where loading failed, or the engine is lost for good: only a restart can help."""
        if self.fault is not None:
            raise not_ready(f"the models could not be loaded: {self.fault}", retry_after_s=60)
        if self.engine.fault is not None:
            raise not_ready(self.engine.fault, retry_after_s=60)

    def check_ready(self) -> None:
        """Raises Problem 503 while models load, and after loading failed."""
        self.check_alive()
        if not self.ready:
            raise not_ready("the models are loading: retry in a moment")

    def check_open(self) -> None:
        """The same, and once the server was told to end: who was let in before is answered, but nobody should come."""
        self.check_ready()
        if self.open_requests.leaving:
            raise draining()

    async def check_working(self) -> None:
        """Raises what keeps requests from being answered: WorkerLost, DecodersUnavailable, or Problem 503 for a model
        that the engine could not load again."""
        for name in self.repository.missing:
            self.check_present(name)
        self.decoding.check()
        await self.engine.check()

    def check_present(self, name: str) -> None:
        """Raises Problem 503 for a model that should answer, and cannot for the moment."""
        lost = self.repository.missing.get(name)
        if lost is not None:
            raise not_ready(f"the model {name!r} went with the engine that was lost, and is tried again: {lost.reason}")

    def model(self, path: str, name: str | None) -> ModelInfo:
        """The named model of a task, or its first. Raises Problem 404 naming those there are, and 503 while it is
        missing."""
        self.check_ready()
        wanted = name or self.repository.first(path)
        found = self.models.get(wanted) if wanted else None
        if found is not None and found.path == path:
            return found
        if wanted:
            self.check_present(wanted)
        raise model_not_found(name, [model.name for model in self.models.values() if model.path == path], path)

    async def perceive(self, model: ModelInfo, payload: bytes, options: Any) -> Perceived:
        """Decode in a worker process, then share a forward pass. Whoever calls it holds the model.

        Raises PayloadError, Overloaded, DeadlineExceeded, WorkerLost and OutOfMemory.
        """
        came = time.perf_counter()
        try:
            perceived = await self._perceive(model, payload, options, came)
        except Exception:
            self.statistics.failed(model.key, time.perf_counter() - came)
            raise
        decode_s, queue_s = 1e-3 * perceived.decode_ms, 1e-3 * perceived.queue_ms
        self.metrics.perceived(model.name, decode_s, queue_s)
        self.statistics.answered(model.key, time.perf_counter() - came, decode_s, queue_s)
        if self.spans is not None:
            self.spans.perceived(model.name, perceived)
        return perceived

    async def _perceive(self, model: ModelInfo, payload: bytes, options: Any, came: float) -> Perceived:
        call = current_call()
        call.model = model.name
        expected_s = self.estimates.decode_s(model.key, len(payload))
        place = call.take_place() or self.admission.admit(self.estimates.sample(model.key), call.priority)
        with place:
            async with self.decode_slots.hold(call.priority, model.key, expected_s) as express:
                started = time.perf_counter()
                sample = await self.decoding.decode(model.preprocessor, payload, options, express)
            decode_s = time.perf_counter() - started
            self.estimates.learn(call.path, model.key, len(payload), decode_s, sample.mean_elements)
            place.become(self._load_of(model.key, sample))
            predictions = await self.scheduler.submit(model.key, sample.views, call.priority, call.deadline)
        return Perceived(sample, predictions, 1e3 * decode_s, 1e3 * (started - came))

    def _load_of(self, key: str, sample: Sample) -> Load:
        """What is left to do for a sample, and to keep."""
        views = len(sample.views)
        device_s = self.estimates.device_s(key, views, sample.mean_elements)
        return Load(views, sum(view.nbytes for view in sample.views), 0.0, device_s)


def engine_options(settings: Settings) -> EngineOptions:
    return EngineOptions(
        hang_timeout_s=settings.engine_hang_timeout_s,
        start_timeout_s=settings.engine_start_timeout_s,
        recovery_s=settings.engine_recovery_timeout_s,
    )


def preparation(settings: Settings) -> Preparation:
    """Of decode workers."""
    modules = sorted({task.preprocessor.__module__ for task in TASKS.values()})
    return Preparation(
        tuple(modules), settings.decode_memory_bytes, log_level=settings.log_level, log_format=settings.log_format
    )
