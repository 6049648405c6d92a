"""What a proxy of Ray Serve says in plain text, or not at all, clients read as problem+json."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence

import pytest
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.ray_proxy import Refusals, layers
from tests.service.asgi import Client, Reply


def proxy(*messages: Message) -> ASGIApp:
    """One that sends these messages, and has noted a request id as Ray does."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["headers"] = [*scope["headers"], (b"x-request-id", b"of-ray")]
        for message in messages:
            await send(message)

    return app


def answer(status: int, content_type: str, body: bytes, *headers: tuple[bytes, bytes]) -> Sequence[Message]:
    kind = (b"content-type", content_type.encode())
    start = {"type": "http.response.start", "status": status, "headers": [kind, *headers]}
    return start, {"type": "http.response.body", "body": body}


def asked(messages: Sequence[Message], path: str = "/classify/image") -> Reply:
    app = Refusals(proxy(*messages))
    return asyncio.run(Client().ask(app, path))


@pytest.mark.parametrize(
    ("status", "told", "code"),
    [
        (404, 404, "not_found"),
        (408, 504, "deadline_exceeded"),
        (429, 429, "overloaded"),
        (500, 503, "worker_lost"),
        (503, 503, "not_ready"),
    ],
)
def test_a_refusal_of_the_proxy_is_told_as_a_problem(status: int, told: int, code: str) -> None:
    reply = asked(answer(status, "text/plain; charset=utf-8", b"no"))
    assert reply.headers["content-type"] == "application/problem+json"
    assert (reply.status, reply.problem["status"], reply.code) == (told, told, code)
    assert reply.problem["request_id"] == "of-ray"
    assert told not in (429, 503) or reply.headers["retry-after"] == "1"


def test_a_request_that_is_never_answered_because_its_replica_died_may_be_sent_again() -> None:
    reply = asked([])
    assert (reply.status, reply.code, reply.headers["retry-after"]) == (503, "worker_lost", "1")


def test_what_replicas_answer_passes_unchanged() -> None:
    problem = answer(
        429, "application/problem+json", b'{"code": "overloaded", "reason": "wait"}', (b"retry-after", b"7")
    )
    reply = asked(problem)
    assert (reply.status, reply.problem["reason"], reply.headers["retry-after"]) == (429, "wait", "7")
    assert asked(answer(200, "text/plain; version=1.0.0", b"metrics")).body == b"metrics"


def test_rays_own_probes_are_answered_by_ray() -> None:
    assert asked(answer(503, "text/plain", b"draining"), "/-/healthz").body == b"draining"


def test_the_request_id_that_ray_adds_a_second_time_is_sent_once() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    ids = [(b"x-request-id", b"a"), (b"x-request-id", b"a")]
    scope: Scope = {"type": "http", "path": "/", "headers": []}

    async def receive() -> Message:
        raise AssertionError("nobody reads the body here")

    asyncio.run(Refusals(proxy(*answer(200, "application/json", b"{}", *ids))).serve(scope, receive, send))
    assert [value for name, value in sent[0]["headers"] if name == b"x-request-id"] == [b"a"]


def test_ray_is_given_the_layer() -> None:
    assert [layer.cls for layer in layers()] == [Middleware(Refusals).cls]


def test_a_proxy_need_not_carry_torch() -> None:
    program = "import sys, service.ray_proxy; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
