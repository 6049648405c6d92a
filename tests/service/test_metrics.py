import asyncio
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Receive, Scope

from service.admission import Admission, Bounds, Load
from service.call import Call
from service.errors import Faults, Problem
from service.metrics import Metrics
from service.middleware import RequestIds
from service.open_requests import OpenRequests
from service.priority import Priority
from service.telemetry import Telemetry
from tests.service.asgi import Client, answering
from tests.service.conftest import encoded, picture
from tests.service.fake_engine import FakeEngine

PNG = encoded(picture())
Samples = dict[tuple[str, tuple[str, ...]], float]


def samples(text: str) -> Samples:
    """By name and the values of the labels, in the order of their names."""
    families = text_string_to_metric_families(text)
    return {(item.name, tuple(item.labels.values())): item.value for family in families for item in family.samples}


def told(metrics: Metrics) -> Samples:
    return samples(metrics.exposition().decode())


def test_requests_are_counted_by_task_and_status_and_refusals_by_reason() -> None:
    metrics = Metrics()
    for status, problem in ((200, None), (200, None), (429, "overloaded")):
        metrics.answered("classify/image", status, 0.02, problem)
    found = told(metrics)
    assert found["unireplknet_requests_total", ("200", "classify/image")] == 2
    assert found["unireplknet_requests_total", ("429", "classify/image")] == 1
    assert found["unireplknet_rejections_total", ("overloaded",)] == 1
    assert found["unireplknet_request_seconds_count", ("classify/image",)] == 3
    assert found["unireplknet_request_seconds_sum", ("classify/image",)] == pytest.approx(0.06)


def test_batches_and_phases_are_histograms_by_model() -> None:
    metrics = Metrics()
    metrics.batch("tiny", 4, 0.5)
    metrics.perceived("tiny", 0.25, 0.125)
    found = told(metrics)
    assert found["unireplknet_batch_size_sum", ("tiny",)] == 4
    assert found["unireplknet_batch_size_bucket", ("2.0", "tiny")] == 0
    assert found["unireplknet_batch_size_bucket", ("4.0", "tiny")] == 1
    sums = {phase: found[f"unireplknet_{phase}_seconds_sum", ("tiny",)] for phase in ("forward", "decode", "queue")}
    assert sums == {"forward": 0.5, "decode": 0.25, "queue": 0.125}


def test_what_waits_is_read_when_it_is_asked_for() -> None:
    metrics, admission, engine = Metrics(), Admission(Bounds(8)), FakeEngine()
    open_requests = OpenRequests()
    metrics.watch(admission, open_requests, engine, lambda: ())
    open_requests.enter(Call())
    assert told(metrics)["unireplknet_waiting_items", ()] == 0
    admission.admit(Load(2, 100, device_s=1.5))
    admission.admit(Load(1, 10, device_s=1.0), Priority.BULK)
    engine.restarts = 3
    engine.memory = {"resident": 5e8, "device_allocated": 2e9}
    found = told(metrics)
    assert found["unireplknet_open_requests", ()] == 1
    assert found["unireplknet_waiting_items", ()] == 3
    assert found["unireplknet_waiting_bytes", ()] == 110
    assert found["unireplknet_predicted_wait_seconds", ()] == 2.5
    assert found["unireplknet_engine_restarts_total", ()] == 3
    assert found["unireplknet_engine_memory_bytes", ("resident",)] == 5e8
    assert found["unireplknet_engine_memory_bytes", ("device_allocated",)] == 2e9


def test_the_process_is_measured() -> None:
    names = {name for name, _ in told(Metrics())}
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"} <= names


def test_a_refusal_at_the_door_counts_for_its_task_but_made_up_paths_do_not() -> None:
    metrics = Metrics()
    refusing: list[str] = []

    async def endpoint(scope: Scope, receive: Receive) -> None:
        if scope["path"] in refusing:
            raise Problem(429, "overloaded", "full")
        scope["route"] = SimpleNamespace(path="/classify/image")

    async def scenario() -> None:
        app = RequestIds(Telemetry(Faults(answering(endpoint)), metrics))
        await Client().ask(app, "/classify/image")
        refusing.extend(["/classify/image", "/made-up"])
        for path in refusing:
            await Client().ask(app, path)

    asyncio.run(scenario())
    found = told(metrics)
    assert found["unireplknet_requests_total", ("429", "classify/image")] == 1
    assert found["unireplknet_requests_total", ("429", "other")] == 1
