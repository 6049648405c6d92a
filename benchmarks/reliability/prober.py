"""Probes as an orchestrator sends them: at fixed times, on new connections, from a process that does nothing else."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

from benchmarks.reliability.asking import Client, Reply

EVERY_S = 0.1
PATIENCE_S = 1.0  # an orchestrator's usual


def probe(port: int, seconds: float) -> list[Reply]:
    replies, start = [], time.monotonic()
    for number in range(int(seconds / EVERY_S)):
        time.sleep(max(0.0, start + number * EVERY_S - time.monotonic()))
        client = Client(port, PATIENCE_S)
        replies.append(client.get("/health/live"))
        client.close()
    return replies


@contextmanager
def prober() -> Iterator[Callable[[int, float], "Future[list[Reply]]"]]:
    """Starts probing a port for so many seconds, without delay."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(probe, 0, 0.0).result()  # it has imported what it needs
        yield lambda port, seconds: pool.submit(probe, port, seconds)
