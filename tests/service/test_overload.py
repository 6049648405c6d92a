"""More work than a server can do, on a clock of its own: what is answered, what is refused, and how soon."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from starlette.types import ASGIApp, Receive, Scope

from models.postprocessors.base import Row
from preprocessors.base import Array, Sample
from service.deadlines import Deadlines
from service.estimates import Estimates
from service.gate import Gate
from service.runtime import Runtime
from service.scheduler import Scheduler
from service.settings import Settings
from tests.service.asgi import Client, answering, outside, read_all
from tests.service.fake_engine import FakeEngine
from tests.service.virtual_time import VirtualTimeLoop

BATCH, START_S, EACH_S, DECODE_S, WORKERS = 4, 0.02, 0.02, 0.02, 2
CAPACITY = BATCH / (START_S + BATCH * EACH_S)
WAIT_S = 2.0
SECONDS, SETTLING_S = 9.0, 4.0


class TimedEngine(FakeEngine):
    async def run(self, model: str, views: Sequence[Array]) -> list[Row]:
        await asyncio.sleep(START_S + EACH_S * len(views))
        return await super().run(model, views)


@dataclass(frozen=True)
class Outcome:
    status: int
    asked: float
    answered: float


@contextmanager
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualTimeLoop]:
    loop = VirtualTimeLoop()
    monkeypatch.setattr(time, "monotonic", loop.time)
    monkeypatch.setattr(time, "perf_counter", loop.time)
    try:
        yield loop
    finally:
        loop.close()
        monkeypatch.undo()


def slow_server(loop: VirtualTimeLoop, decode_s: float) -> tuple[ASGIApp, FakeEngine]:
    """Everything but HTTP, decoders and a model, whose time is as given."""
    settings = Settings(decode_workers=WORKERS, max_batch_size=BATCH, max_queue_wait_s=WAIT_S, max_queue=1000)
    runtime = Runtime(settings)
    engine = TimedEngine()
    runtime.scheduler = Scheduler(engine, BATCH, clock=loop.time)
    runtime.estimates = Estimates(runtime.scheduler.costs, BATCH)
    pipeline: Any = SimpleNamespace(name="slow", key="slow", preprocessor=None)

    async def decode(*ignored: Any) -> Sample:
        await asyncio.sleep(decode_s)
        return Sample((np.zeros(1, np.float32),))

    async def endpoint(scope: Scope, receive: Receive) -> None:
        await read_all(scope, receive)
        await runtime.perceive(pipeline, b"", None)

    runtime.decoding.decode = decode  # type: ignore[method-assign, assignment]
    gate = Gate(answering(endpoint), runtime.admission, runtime.estimates)
    return outside(Deadlines(gate, runtime.open_requests, 60, 60)), engine


async def offered(app: ASGIApp, rate: float) -> list[Outcome]:
    """So many requests a second, whatever becomes of them."""
    loop = asyncio.get_running_loop()

    async def ask() -> Outcome:
        asked = loop.time()
        reply = await Client().ask(app)
        assert reply.status == 200 or int(reply.headers["retry-after"]) >= 1
        return Outcome(reply.status, asked, loop.time())

    asking = []
    for _ in range(round(rate * SECONDS)):
        asking.append(asyncio.create_task(ask()))
        await asyncio.sleep(1 / rate)
    return await asyncio.gather(*asking)


def goodput(outcomes: list[Outcome]) -> float:
    """Answers a second, from the time at which the load has settled until it ends."""
    start = outcomes[0].asked
    settled = [start + SETTLING_S <= item.answered < start + SECONDS for item in outcomes if item.status == 200]
    return sum(settled) / (SECONDS - SETTLING_S)


@pytest.mark.parametrize("factor", [2, 10])
@pytest.mark.parametrize(("decode_s", "capacity"), [(DECODE_S, CAPACITY), (0.1, WORKERS / 0.1)])
def test_overload_costs_no_goodput_whichever_stage_is_the_bottleneck(
    monkeypatch: pytest.MonkeyPatch, factor: int, decode_s: float, capacity: float
) -> None:
    with virtual_time(monkeypatch) as loop:
        app, engine = slow_server(loop, decode_s)
        outcomes = loop.run_until_complete(offered(app, factor * capacity))
    assert goodput(outcomes) >= 0.95 * capacity
    assert {item.status for item in outcomes} == {200, 429}
    assert max(item.answered - item.asked for item in outcomes if item.status == 429) == 0.0
    waits = [item.answered - item.asked for item in outcomes if item.status == 200]
    assert max(waits[len(waits) // 2 :]) <= WAIT_S + 2 * (START_S + BATCH * EACH_S) + decode_s
    assert sum(len(values) for values in engine.values) == len(waits)


def test_what_a_server_can_do_it_does_without_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    with virtual_time(monkeypatch) as loop:
        app, _ = slow_server(loop, DECODE_S)
        outcomes = loop.run_until_complete(offered(app, 0.9 * CAPACITY))
    assert {item.status for item in outcomes} == {200}
    assert max(item.answered - item.asked for item in outcomes) < 0.5
