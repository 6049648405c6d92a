"""The generator against servers whose every answer is planned."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import pytest

from service.bench.open_loop import Generator, Load
from service.bench.shot import Address, Shot

Answering = Callable[[int, bytes], Awaitable[bytes]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def load(answer: Answering, shots: list[Shot], rate: float, seconds: float, patience_s: float = 5.0) -> Load:
    """What the generator says of a server that answers its n-th request with `answer(n, request line)`."""

    async def scenario() -> Load:
        count = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    size = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
                    await reader.readexactly(size)
                    count += 1
                    writer.write(await answer(count - 1, head.split(b"\r\n")[0]))
            except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
                pass
            finally:
                writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            generator = Generator(Address("127.0.0.1", port), shots, patience_s=patience_s)
            found = await generator.open(rate, seconds)
            generator.close()
            return found

    return asyncio.run(scenario())


async def at_once(number: int, line: bytes) -> bytes:
    return OK


def test_a_stall_is_seen_by_every_request_that_was_due_while_it_lasted() -> None:
    async def one_at_a_time(number: int, line: bytes) -> bytes:
        async with lock:
            await asyncio.sleep(0.5 if number == 0 else 0)
        return OK

    lock = asyncio.Lock()
    found = load(one_at_a_time, [Shot("/a", b"x")], rate=40, seconds=0.5)
    assert found.count(200) == 20
    assert found.percentile_ms(0.5, 200) > 100  # a closed loop would have sent one request, and seen one slow answer


def test_kinds_are_drawn_by_their_shares_and_told_apart() -> None:
    lines: Counter[bytes] = Counter()

    async def counted(number: int, line: bytes) -> bytes:
        lines[line.split()[1]] += 1
        return OK

    found = load(counted, [Shot("/often", b"xyz", 9), Shot("/seldom", b"")], rate=2000, seconds=0.2)
    assert sum(lines.values()) == 400
    assert 10 < lines[b"/seldom"] < 80
    assert {kind: len(found.of(kind).answers) for kind in found.kinds} == {
        "/often": lines[b"/often"],
        "/seldom": lines[b"/seldom"],
    }
    assert found.of("/often").rate + found.of("/seldom").rate == pytest.approx(2000)


def test_refusals_closed_connections_and_silence_are_counted_apart() -> None:
    async def mixed(number: int, line: bytes) -> bytes:
        if number % 4 == 1:
            return b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n"
        if number % 4 == 2:
            return b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        if number % 4 == 3:
            await asyncio.sleep(10)
        return OK

    found = load(mixed, [Shot("/a", b"x")], rate=100, seconds=0.4, patience_s=0.3)
    assert found.statuses() == {0: 10, 200: 10, 429: 10, 503: 10}
    assert {answer.retry_after for answer in found.answers if answer.status == 429} == {"3"}


def test_chunked_answers_are_read_to_their_end() -> None:
    async def chunked(number: int, line: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"

    assert load(chunked, [Shot("/a", b"x")], rate=50, seconds=0.4).statuses() == {200: 20}


def test_answers_that_come_after_the_load_are_no_goodput() -> None:
    async def late(number: int, line: bytes) -> bytes:
        await asyncio.sleep(0.4 if number >= 10 else 0)
        return OK

    found = load(late, [Shot("/a", b"x")], rate=100, seconds=0.2)
    assert found.count(200) == 20
    assert found.goodput == pytest.approx(10 / 0.2)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://localhost", Address("localhost", 80)),
        ("https://example.org/", Address("example.org", 443, tls=True)),
        ("http://[::1]:8000", Address("::1", 8000)),
    ],
)
def test_servers_have_addresses(url: str, address: Address) -> None:
    assert Address.of(urlsplit(url)) == address


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a", "http://", "http://a/classify/image"])
def test_what_is_no_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected one such as http://127\.0\.0\.1:8000"):
        Address.of(urlsplit(url))
