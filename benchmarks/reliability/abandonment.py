"""R3: half of the clients leave after 100 ms. What is computed for those who had left before it began is waste."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.reliability.asking import Client
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.reliability.marks import payload
from benchmarks.reliability.server import Server, marked

SAMPLE_S, BATCH, RATE = 0.02, 4, 60  # 1.2 times what it can do, so that there is a queue to leave
SECONDS, PATIENCE_S = 30.0, 0.1
WAITERS = 120
MEGABYTE = 1e6


def abandonment(conditions: Conditions) -> list[Finding]:
    with TemporaryDirectory() as folder:
        ledger = Path(folder) / "ledger"
        with marked(0, SAMPLE_S, str(ledger), max_batch_size=str(BATCH), decode_workers="1", max_queue="200") as server:
            _leave_and_stay(server, conditions.seconds(SECONDS) / 3, 0)
            before = server.own_bytes
            clients = _leave_and_stay(server, conditions.seconds(SECONDS), 1_000_000)
            after = server.own_bytes
        batches = list(_batches(ledger))
    return [*_findings(batches, clients), Finding("memory (USS) growth, MB", (after - before) / MEGABYTE, at_most=20)]


class Crowd:
    """left: when the client of a mark gave up. statuses: of those that stayed."""

    def __init__(self) -> None:
        self.left: dict[int, float] = {}
        self.statuses: list[int] = []
        self._local = threading.local()

    def ask(self, server: Server, mark: int) -> None:
        """Even marks give up; none have three views."""
        leaves = mark % 2 == 0
        client = Client(server.port, PATIENCE_S if leaves else 60.0)
        reply = client.post("/classify/image", payload(3 * mark + 1), X_Request_Timeout_Ms="20000")
        client.close()
        if leaves and reply.status == 0:
            self.left[3 * mark + 1] = reply.ended
        elif not leaves:
            self.statuses.append(reply.status)


def _leave_and_stay(server: Server, seconds: float, first: int) -> Crowd:
    crowd, start = Crowd(), time.monotonic()
    with ThreadPoolExecutor(WAITERS) as pool:
        for number in range(int(RATE * seconds)):
            time.sleep(max(0.0, start + number / RATE - time.monotonic()))
            pool.submit(crowd.ask, server, first + number)
    return crowd


def _batches(ledger: Path) -> Iterator[tuple[float, float, list[int]]]:
    for line in ledger.read_text().splitlines():
        began, ended, *marks = line.split()
        yield float(began), float(ended), [int(mark) for mark in marks]


def _findings(batches: list[tuple[float, float, list[int]]], crowd: Crowd) -> list[Finding]:
    spent = gone = leaving = 0.0
    for began, ended, marks in batches:
        each = (ended - began) / len(marks)
        spent += each * len(marks)
        for mark in marks:
            left = crowd.left.get(mark, float("inf"))
            gone += each * (left < began)
            leaving += each * (began <= left < ended)
    others = sum(status not in (200, 429) for status in crowd.statuses)
    return [
        Finding("clients that left", len(crowd.left), at_least=1),
        Finding("clients that stayed and were answered", crowd.statuses.count(200), at_least=1),
        exactly("clients that stayed and got neither an answer nor a refusal", others),
        Finding("forward time for those who had left before it began, %", 100 * gone / spent, at_most=2),
        Finding("forward time for those who left during it, %", 100 * leaving / spent),
    ]
