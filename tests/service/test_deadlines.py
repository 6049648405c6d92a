import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope

from service.call import Call, current_call
from service.deadlines import Deadlines
from service.errors import CLIENT_CLOSED_REQUEST
from service.middleware import BodyLimit
from service.open_requests import OpenRequests
from service.priority import Priority
from service.scheduler import Scheduler
from tests.service.asgi import Client, Endpoint, answering, outside, read_all
from tests.service.fake_engine import FakeEngine, view

SOON = "20"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def calls(
    endpoint: Endpoint,
    open_requests: OpenRequests | None = None,
    timeout_s: float = 60,
    most_s: float = 300,
    body_s: float = 30,
) -> ASGIApp:
    return outside(Deadlines(answering(endpoint), open_requests or OpenRequests(), timeout_s, most_s, body_s))


async def for_ever(scope: Scope, receive: Receive) -> None:
    await read_all(scope, receive)
    await asyncio.Event().wait()


def seen_by(headers: dict[str, str]) -> Call:
    """The call as the endpoint finds it."""
    found: list[Call] = []

    async def look(scope: Scope, receive: Receive) -> None:
        found.append(current_call())

    assert asyncio.run(Client(**headers).ask(calls(look))).status == 200
    return found[0]


@pytest.mark.parametrize(
    ("given", "seconds"), [({}, 60), ({"x_request_timeout_ms": "1500"}, 1.5), ({"x_request_timeout_ms": "9" * 9}, 300)]
)
def test_the_client_chooses_its_time_up_to_a_limit(given: dict[str, str], seconds: float) -> None:
    assert seen_by(given).deadline - time.monotonic() == pytest.approx(seconds, abs=1.0)


@pytest.mark.parametrize("given", ["0", "-5", "1.5", "soon", "", "9" * 40])
def test_a_time_that_is_no_positive_number_is_refused(given: str) -> None:
    reply = asyncio.run(Client(x_request_timeout_ms=given).ask(calls(read_all)))
    assert (reply.status, reply.code) == (400, "malformed_request")
    assert "expected a positive number of milliseconds" in reply.problem["detail"]


@pytest.mark.parametrize(("given", "priority"), [({}, "interactive"), ({"x_priority": "Bulk"}, "bulk")])
def test_the_client_chooses_its_priority(given: dict[str, str], priority: str) -> None:
    assert seen_by(given).priority is Priority(priority)


def test_an_unknown_priority_is_refused_naming_those_there_are() -> None:
    reply = asyncio.run(Client(x_priority="urgent").ask(calls(read_all)))
    assert (reply.status, reply.problem["detail"]) == (
        400,
        "X-Priority is 'urgent', expected one of: interactive, bulk",
    )


@pytest.mark.parametrize("options", [{"x_request_timeout_ms": SOON}, {}])
def test_a_request_whose_time_is_over_gets_504_and_its_work_is_cancelled(options: dict[str, str]) -> None:
    cancelled: list[bool] = []

    async def work(scope: Scope, receive: Receive) -> None:
        try:
            await for_ever(scope, receive)
        finally:
            cancelled.append(True)

    reply = asyncio.run(Client(**options).ask(calls(work, timeout_s=0.02)))
    assert (reply.status, reply.code, cancelled) == (504, "deadline_exceeded", [True])


def test_a_time_out_inside_the_endpoint_is_not_taken_for_the_clients() -> None:
    async def work(scope: Scope, receive: Receive) -> None:
        raise TimeoutError

    assert asyncio.run(Client().ask(calls(work))).status == 500


def test_a_client_that_leaves_before_its_batch_is_cut_is_not_computed() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        queue = Scheduler(engine, 8)

        async def work(scope: Scope, receive: Receive) -> None:
            await read_all(scope, receive)
            await queue.submit("a", [view(float(scope["path"].strip("/")))])

        app = calls(work)
        engine.gate.clear()
        asking = [asyncio.create_task(Client([b"x"]).ask(app, "/0"))]
        await until(lambda: len(engine.batches) == 1)
        clients = [Client([b"x"]) for _ in range(2)]
        asking += [asyncio.create_task(client.ask(app, f"/{i}")) for i, client in enumerate(clients, 1)]
        for _ in range(10):
            await asyncio.sleep(0)
        clients[0].left.set()
        await asyncio.wait([asking[1]])
        engine.gate.set()
        await asyncio.gather(*asking)
        assert engine.values == [[0.0], [2.0]]

    asyncio.run(scenario())


def test_a_client_that_takes_its_answer_and_leaves_is_no_departure() -> None:
    async def scenario() -> None:
        finished: list[bool] = []

        async def app(scope: Scope, receive: Receive, send: Any) -> None:
            await answering(read_all)(scope, receive, send)
            for _ in range(5):
                await asyncio.sleep(0)
            finished.append(True)

        reply = await Client().ask(outside(Deadlines(app, OpenRequests(), 60, 60)))
        assert (reply.status, finished) == (200, [True])

    asyncio.run(scenario())


def test_an_endpoint_may_still_ask_whether_its_client_is_there() -> None:
    async def scenario() -> None:
        heard: list[str] = []

        async def work(scope: Scope, receive: Receive) -> None:
            await read_all(scope, receive)
            try:
                heard.append((await receive())["type"])
            except asyncio.CancelledError:
                heard.append("cancelled")
                raise

        client = Client([b"body"])
        asking = asyncio.create_task(client.ask(calls(work)))
        for _ in range(5):
            await asyncio.sleep(0)
        client.left.set()
        assert (await asking).status == CLIENT_CLOSED_REQUEST
        assert heard in (["http.disconnect"], ["cancelled"])

    asyncio.run(scenario())


def test_nothing_is_left_behind_by_an_answered_request() -> None:
    async def scenario() -> None:
        open_requests = OpenRequests()
        app = calls(read_all, open_requests)
        await asyncio.gather(*(Client([b"x"] * 2).ask(app) for _ in range(10)))
        for _ in range(3):
            await asyncio.sleep(0)
        loop: Any = asyncio.get_running_loop()
        assert len(asyncio.all_tasks()) == 1
        assert all(timer.cancelled() for timer in loop._scheduled)
        assert open_requests.open_calls == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("dribble", [True, False])
def test_a_body_that_does_not_end_in_time_is_408(dribble: bool) -> None:
    class Slow(Client):
        async def _receive(self) -> Any:
            await asyncio.sleep(0.005 if dribble else 3600)
            return {"type": "http.request", "body": b"x", "more_body": True}

    reply = asyncio.run(Slow().ask(calls(read_all, body_s=0.05)))
    assert (reply.status, reply.code) == (408, "body_timeout")
    assert reply.headers["connection"] == "close"


@pytest.mark.parametrize("body_s", [0.02, 60])
def test_the_time_of_the_body_ends_with_it(body_s: float) -> None:
    """The request's own goes on: work may take longer than a body may."""

    async def slow(scope: Scope, receive: Receive) -> None:
        await read_all(scope, receive)
        await asyncio.sleep(0.1)

    assert asyncio.run(Client([b"x"] * 3).ask(calls(slow, body_s=body_s))).status == 200
    assert asyncio.run(Client([b"x"] * 3).ask(calls(slow, timeout_s=0.05, body_s=body_s))).status == 504


def test_what_nobody_reads_may_take_its_time() -> None:
    async def slow(scope: Scope, receive: Receive) -> None:
        await asyncio.sleep(0.1)

    assert asyncio.run(Client([b"x"]).ask(calls(slow, body_s=0.02))).status == 200


@pytest.mark.parametrize("headers", [{"content_length": "1001"}, {}])
def test_a_body_over_the_limit_is_413_declared_or_not(headers: dict[str, str]) -> None:
    client = Client([b"x" * 400] * 3, **headers)
    reply = asyncio.run(client.ask(outside(BodyLimit(answering(read_all), 1000))))
    assert (reply.status, reply.code, reply.headers["connection"]) == (413, "body_too_large", "close")
    assert len(client._chunks) == (3 if headers else 0)


@pytest.mark.parametrize("length", ["-1", "1e3", "two", "9" * 5000])
def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    reply = asyncio.run(Client(content_length=length).ask(outside(BodyLimit(answering(read_all), 1000))))
    assert (reply.status, reply.code) == (400, "malformed_request")


def test_draining_lets_nobody_in_and_answers_who_is_there() -> None:
    async def scenario() -> None:
        open_requests, go = OpenRequests(), asyncio.Event()

        async def work(scope: Scope, receive: Receive) -> None:
            await read_all(scope, receive)
            await go.wait()

        app = calls(work, open_requests)
        inside = asyncio.create_task(Client().ask(app))
        await until(lambda: open_requests.open_calls == 1)
        draining = asyncio.create_task(open_requests.drain(60))
        await asyncio.sleep(0)
        late = await Client().ask(app)
        assert (late.status, late.code, late.headers["connection"]) == (503, "draining", "close")
        assert not draining.done()
        go.set()
        assert (await inside).status == 200
        await asyncio.wait_for(draining, 10)

    asyncio.run(scenario())


def test_what_is_not_answered_when_draining_ends_is_told_so() -> None:
    async def scenario() -> None:
        open_requests = OpenRequests()
        inside = asyncio.create_task(Client().ask(calls(for_ever, open_requests)))
        await until(lambda: open_requests.open_calls == 1)
        await asyncio.wait_for(open_requests.drain(0.02), 10)
        assert (await inside).status == 504

    asyncio.run(scenario())
