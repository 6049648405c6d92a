"""Clients that do not finish their headers, by malice or by accident, against a listening socket."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from service.connection import Connection
from service.disconnect import ON_DEPARTURE

TIMEOUT_S = 0.2
PATIENCE_S = 20.0
GOOD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Hurried(Connection):
    head_timeout_s = TIMEOUT_S


departures: list[str] = []


async def answer_length(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the number of bytes, after as many seconds as the path says. Notes who leaves meanwhile."""
    scope[ON_DEPARTURE](lambda: departures.append(scope["path"]))
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message["body"]), message["more_body"]
    with contextlib.suppress(ValueError):
        await asyncio.sleep(float(scope["path"].strip("/")))
    body = str(length).encode()
    start: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    await send(start)
    await send({"type": "http.response.body", "body": body})
    scope[ON_DEPARTURE](None)


@asynccontextmanager
async def listening() -> AsyncIterator[Callable[[], Awaitable[Stream]]]:
    config, state = uvicorn.Config(answer_length, log_config=None), ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Hurried(config, state, {}), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    writers: list[asyncio.StreamWriter] = []

    async def connect() -> Stream:
        stream = await asyncio.open_connection("127.0.0.1", port)
        writers.append(stream[1])
        return stream

    try:
        yield connect
    finally:
        for writer in writers:
            writer.close()
        server.close()


def run(scenario: Callable[[Callable[[], Awaitable[Stream]]], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with asyncio.timeout(PATIENCE_S), listening() as connect:
            return await scenario(connect)

    return asyncio.run(main())


def after(*pieces: bytes, pause_s: float = 0.0) -> bytes:
    """All that the server says to these pieces, until it closes."""

    async def scenario(connect: Callable[[], Awaitable[Stream]]) -> bytes:
        reader, writer = await connect()
        hearing = asyncio.create_task(hear(reader))
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause_s)
        return await hearing

    return bytes(run(scenario))


async def hear(reader: asyncio.StreamReader) -> bytes:
    """Everything up to the end, which for a client that goes on writing is a reset."""
    heard = b""
    with contextlib.suppress(ConnectionError):
        while more := await reader.read(1 << 16):
            heard += more
    return heard


def problem(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    told = json.loads(body)
    assert told["request_id"].encode() in head
    assert int(head.split()[1]) == told["status"]
    return told["status"], told["code"]


def test_headers_that_do_not_end_in_time_are_408() -> None:
    assert problem(after(b"GET / HTTP/1.1\r\nHost: a\r\n")) == (408, "header_timeout")


def test_a_trickle_does_not_extend_the_time() -> None:
    began = time.monotonic()
    trickle = [b"GET / HTTP/1.1\r\n", *[b"A: b\r\n"] * 6]
    assert problem(after(*trickle, pause_s=TIMEOUT_S / 4)) == (408, "header_timeout")
    assert time.monotonic() - began >= TIMEOUT_S


def test_a_connection_on_which_nothing_is_sent_is_closed_without_a_word() -> None:
    assert after() == b""


@pytest.mark.parametrize("more", [b"GET / HT", b"\r\n"])
def test_the_next_request_of_a_connection_has_as_much_time_and_no_more(more: bytes) -> None:
    answer = after(GOOD, more, pause_s=0.05)
    assert answer.startswith(b"HTTP/1.1 200")
    assert problem(answer.partition(b"\r\n\r\n3")[2]) == (408, "header_timeout")


@pytest.mark.parametrize("piece", [b"A: b\r\n" * 5000, b"A" * 30_000, b"A: " + b"b" * 30_000])
def test_endless_headers_are_431_long_before_they_fill_the_memory(piece: bytes) -> None:
    async def scenario(connect: Callable[[], Awaitable[Stream]]) -> tuple[bytes, int]:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\n")
        for sent in range(1, 1000):
            writer.write(piece)
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(reader.readuntil(b"}"), 0.005), sent * len(piece)
        return b"", 0

    answer, sent = run(scenario)
    assert problem(answer) == (431, "headers_too_large")
    assert sent < 20 * Connection.max_head_bytes


def test_who_leaves_before_the_answer_is_told_of_and_nobody_else() -> None:
    async def scenario(connect: Callable[[], Awaitable[Stream]]) -> None:
        stays, leaves = await connect(), await connect()
        stays[1].write(b"GET /0.01 HTTP/1.1\r\nHost: a\r\n\r\n")
        leaves[1].write(b"GET /3600 HTTP/1.1\r\nHost: a\r\n\r\n")
        await stays[0].readuntil(b"200 OK")
        for _, writer in (leaves, stays):
            writer.close()
        while not departures:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)

    departures.clear()
    run(scenario)
    assert departures == ["/3600"]


def test_what_is_no_http_is_answered_as_a_problem() -> None:
    assert problem(after(b"\x16\x03\x01\x02\x00\x01\x00 hello\r\n\r\n")) == (400, "malformed_request")


def test_large_bodies_slow_answers_and_further_requests_are_none_of_its_business() -> None:
    async def scenario(connect: Callable[[], Awaitable[Stream]]) -> list[bytes]:
        reader, writer = await connect()
        size, slow = 3 * Connection.max_head_bytes, str(2 * TIMEOUT_S).encode()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        lengths = [await length(reader)]
        writer.write(GOOD + GOOD.replace(b"/ ", b"/" + slow + b" ", 1) + GOOD[:10])  # pipelined, and half of another
        lengths += [await length(reader), await length(reader)]
        writer.write(GOOD[10:])
        return [*lengths, await length(reader)]

    async def length(reader: asyncio.StreamReader) -> bytes:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        number = await reader.readexactly(6 if not lengths_seen else 1)
        lengths_seen.append(number)
        return number

    lengths_seen: list[bytes] = []
    assert run(scenario) == [b"196608", b"3", b"3", b"3"]


def test_a_body_may_take_longer_than_the_headers() -> None:
    assert after(GOOD[:-2], GOOD[-2:], pause_s=2 * TIMEOUT_S).endswith(b"3")
