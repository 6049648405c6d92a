"""An open-loop load generator: raw sockets, and latency from the time at which a request was meant to be sent.

A generator that waits for answers before it asks again slows down with the server, and so hides how slow it is
(coordinated omission). This one asks at fixed times, on as many connections as that takes.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

KEPT_S = 2.0  # servers close idle connections after some seconds


@dataclass(frozen=True)
class Answer:
    """status: 0 where there was none. latency_s: from the intended time; late_s: how late it was sent, our fault.

    end_s: when it came, from the start of the load.
    """

    status: int
    end_s: float
    latency_s: float
    late_s: float
    retry_after: str | None = None


@dataclass
class Load:
    """Answers to a load of `rate` requests a second for `seconds`."""

    rate: float
    seconds: float
    answers: list[Answer] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """Answers a second, of those that came while the load lasted."""
        return sum(answer.status == 200 and answer.end_s <= self.seconds for answer in self.answers) / self.seconds

    def count(self, *statuses: int) -> int:
        return sum(answer.status in statuses for answer in self.answers)

    def statuses(self) -> dict[int, int]:
        return dict(Counter(answer.status for answer in self.answers))

    def percentile_ms(self, q: float, *statuses: int) -> float:
        """Of the latencies of answers with these statuses; NaN where there are none."""
        return percentile([1e3 * answer.latency_s for answer in self.answers if answer.status in statuses], q)

    def lateness_ms(self, q: float) -> float:
        return percentile([1e3 * answer.late_s for answer in self.answers], q)


def percentile(values: Sequence[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")


class Generator:
    """Sends one request, byte for byte, over and over to a server of this machine."""

    def __init__(self, port: int, request: bytes, patience_s: float = 60.0) -> None:
        self.port, self.request, self.patience_s = port, request, patience_s
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def closed(self, clients: int, seconds: float) -> Load:
        """So many clients that ask again as soon as they are answered: what the server can do at most."""
        load = Load(0.0, seconds)
        start = time.perf_counter()

        async def client() -> None:
            while (now := time.perf_counter()) < start + seconds:
                load.answers.append(await self._ask(now, start))

        await asyncio.gather(*(client() for _ in range(clients)))
        load.rate = load.goodput
        return load

    async def open(self, rate: float, seconds: float) -> Load:
        """Requests at fixed times, whatever becomes of them."""
        load = Load(rate, seconds)
        start = time.perf_counter() + 0.05
        asking = []
        for number in range(int(rate * seconds)):
            intended = start + number / rate
            await asyncio.sleep(max(0.0, intended - time.perf_counter()))
            asking.append(asyncio.create_task(self._ask(intended, start)))
        load.answers = list(await asyncio.gather(*asking))
        return load

    async def _ask(self, intended: float, start: float) -> Answer:
        late = time.perf_counter() - intended
        try:
            async with asyncio.timeout(self.patience_s):
                status, retry_after = await self._exchange()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            status, retry_after = 0, None
        now = time.perf_counter()
        return Answer(status, now - start, now - intended, late, retry_after)

    async def _exchange(self) -> tuple[int, str | None]:
        reader, writer = await self._connection()
        writer.write(self.request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            writer.close()
        else:
            self._idle.append((time.perf_counter(), reader, writer))
        return int(head[0].split()[1]), headers.get("retry-after")

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The one that was used last, unless the server may be about to close it."""
        while self._idle:
            since, reader, writer = self._idle.pop()
            if time.perf_counter() - since < KEPT_S:
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)


def post(path: str, body: bytes) -> bytes:
    """A request with a raw body, as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
