"""An open-loop load generator: raw sockets, and latency from the time at which a request was meant to be sent.

A generator that waits for answers before it asks again slows down with the server, and so hides how slow it is
(coordinated omission). This one asks at fixed times, on as many connections as that takes.
"""

import asyncio
import gc
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from service.bench.shot import Address, Shot

KEPT_S = 2.0  # servers close idle connections after some seconds
START_S = 0.05  # after which the first request is due
TRUSTED_LATENESS_MS = 5.0  # p99; figures of a generator that keeps worse time are its own, not the server's


@dataclass(frozen=True)
class Answer:
    """status: 0 where there was none. latency_s: from the intended time; late_s: how late it was sent, our fault.

    end_s: when it came, from the start of the load. kind: the path that it was sent to.
    """

    status: int
    end_s: float
    latency_s: float
    late_s: float
    retry_after: str | None = None
    kind: str = ""


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

    @property
    def kinds(self) -> list[str]:
        return sorted({answer.kind for answer in self.answers})

    def of(self, kind: str) -> "Load":
        """The part of one kind."""
        answers = [answer for answer in self.answers if answer.kind == kind]
        return Load(self.rate * len(answers) / max(1, len(self.answers)), self.seconds, answers)

    def count(self, *statuses: int) -> int:
        return sum(answer.status in statuses for answer in self.answers)

    def statuses(self) -> dict[int, int]:
        return dict(sorted(Counter(answer.status for answer in self.answers).items()))

    def percentile_ms(self, q: float, *statuses: int) -> float:
        """Of the latencies of answers with these statuses; NaN where there are none."""
        return percentile([1e3 * answer.latency_s for answer in self.answers if answer.status in statuses], q)

    def lateness_ms(self, q: float) -> float:
        return percentile([1e3 * answer.late_s for answer in self.answers], q)


def percentile(values: Sequence[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")


class Generator:
    """Sends requests of some kinds to a server, in the order of a seeded draw by their shares."""

    def __init__(
        self, address: Address, shots: Sequence[Shot], key: str | None = None, patience_s: float = 60.0, seed: int = 0
    ) -> None:
        self.address, self.patience_s = address, patience_s
        self._requests = [(shot.path, shot.request(address.host, key)) for shot in shots]
        self._shares = [shot.share for shot in shots]
        self._chance = random.Random(seed)
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

    async def open(self, rate: float, seconds: float, sent: Callable[[], object] = lambda: None) -> Load:
        """Requests at fixed times, whatever becomes of them. sent: is told of each."""
        load = Load(rate, seconds)
        gc.freeze()  # walking over all that is here would make the requests of a quarter of a second late
        start = time.perf_counter() + START_S
        asking = []
        for number in range(int(rate * seconds)):
            intended = start + number / rate
            await asyncio.sleep(max(0.0, intended - time.perf_counter()))
            asking.append(asyncio.create_task(self._ask(intended, start)))
            sent()
        load.answers = list(await asyncio.gather(*asking))
        return load

    def close(self) -> None:
        for _, _, writer in self._idle:
            writer.close()
        self._idle.clear()

    async def _ask(self, intended: float, start: float) -> Answer:
        late = time.perf_counter() - intended
        ((kind, request),) = self._chance.choices(self._requests, self._shares)
        try:
            async with asyncio.timeout(self.patience_s):
                status, retry_after = await self._exchange(request)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            status, retry_after = 0, None
        now = time.perf_counter()
        return Answer(status, now - start, now - intended, late, retry_after, kind)

    async def _exchange(self, request: bytes) -> tuple[int, str | None]:
        reader, writer = await self._connection()
        try:
            writer.write(request)
            status, headers = await _head(reader)
            await _skip_body(reader, headers)
        except BaseException:
            writer.close()
            raise
        if headers.get("connection") == "close":
            writer.close()
        else:
            self._idle.append((time.perf_counter(), reader, writer))
        return status, headers.get("retry-after")

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The one that was used last, unless the server may be about to close it."""
        while self._idle:
            since, reader, writer = self._idle.pop()
            if time.perf_counter() - since < KEPT_S:
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self.address.host, self.address.port, ssl=self.address.tls or None)


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers


async def _skip_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> None:
    if headers.get("transfer-encoding") != "chunked":
        await reader.readexactly(int(headers.get("content-length", 0)))
        return
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        await reader.readexactly(size + 2)
    await reader.readuntil(b"\r\n")
