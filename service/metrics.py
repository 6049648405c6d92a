"""What a running server tells Prometheus: GET /metrics."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from service.admission import Admission
from service.engine.base import Engine, ModelInfo
from service.open_requests import OpenRequests
from service.priority import Priority

PREFIX = "unireplknet"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
ABOUT = ("model", "version", "task")
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters and histograms of one server, in a registry of its own. A task is a route, so their number is fixed."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = self._counter("requests", "Requests by route and status", ("task", "status"))
        self._rejections = self._counter("rejections", "Rejected requests by error code", ("reason",))
        self._total = self._seconds("request", "Seconds from the first byte of a request to its response", "task")
        self._decode = self._seconds("decode", "Seconds to decode one file", "model")
        self._queue = self._seconds("queue", "Seconds waiting for a decode worker and for the device", "model")
        self._forward = self._seconds("forward", "Seconds per forward pass", "model")
        self._sizes = self._histogram("batch_size", "Samples per forward pass", "model", SIZES)

    def answered(self, task: str, status: int, seconds: float, problem: str | None) -> None:
        """A request has been answered. problem: the code that it was refused with, if it was."""
        self._requests(task, str(status)).inc()
        self._total(task).observe(seconds)
        if problem is not None:
            self._rejections(problem).inc()

    def perceived(self, model: str, decode_s: float, queue_s: float) -> None:
        """An input has been decoded and computed."""
        self._decode(model).observe(decode_s)
        self._queue(model).observe(queue_s)

    def batch(self, model: str, size: int, seconds: float) -> None:
        """A forward pass has been made."""
        self._forward(model).observe(seconds)
        self._sizes(model).observe(size)

    def watch(
        self,
        admission: Admission,
        open_requests: OpenRequests,
        engine: Engine,
        models: Callable[[], Iterable[ModelInfo]],
    ) -> None:
        """Read what waits, what the engine takes and what is served whenever somebody asks."""
        self._gauge("open_requests", "Open requests", lambda: open_requests.open_calls)
        self._gauge("waiting_items", "Samples queued or in progress", lambda: admission.load.items)
        self._gauge("waiting_bytes", "Bytes queued or in progress", lambda: admission.load.bytes)
        wait = "Predicted seconds that one more request would wait; scale by this"
        self._gauge("predicted_wait_seconds", wait, lambda: admission.predicted_wait_s(Priority.BULK))
        self.registry.register(_Holdings(engine, models))

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Callable[..., Counter]:
        """By the values of its labels. Looking them up takes longer than counting, so this is done once for each."""
        return cache(Counter(f"{PREFIX}_{name}", text, labels, registry=self.registry).labels)

    def _seconds(self, name: str, text: str, label: str) -> Callable[[str], Histogram]:
        return self._histogram(f"{name}_seconds", text, label, SECONDS)

    def _histogram(self, name: str, text: str, label: str, buckets: Sequence[float]) -> Callable[[str], Histogram]:
        """By the value of its label, see `_counter`."""
        return cache(Histogram(f"{PREFIX}_{name}", text, (label,), buckets=buckets, registry=self.registry).labels)

    def _gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        Gauge(f"{PREFIX}_{name}", text, registry=self.registry).set_function(read)


class _Holdings(Collector):
    """What others keep: the engine's counter and its memory, and the models that are served."""

    def __init__(self, engine: Engine, models: Callable[[], Iterable[ModelInfo]]) -> None:
        self._engine, self._models = engine, models

    def collect(self) -> Iterable[Metric]:
        lost = "Restarts of the inference process"
        yield CounterMetricFamily(f"{PREFIX}_engine_restarts", lost, value=self._engine.restarts)
        taken = "Bytes of memory of the inference process and its device, as of the last heartbeat"
        memory = GaugeMetricFamily(f"{PREFIX}_engine_memory_bytes", taken, labels=("kind",))
        for kind, size in self._engine.memory.items():
            memory.add_metric((kind,), size)
        yield memory
        served = GaugeMetricFamily(f"{PREFIX}_model_info", "1 for each model being served", labels=ABOUT)
        for model in self._models():
            served.add_metric((model.name, model.version, model.path), 1)
        yield served


def metrics_router(metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/metrics", response_class=Response)
    async def read() -> Response:
        """Counters, histograms and gauges in Prometheus' text format."""
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    return router
