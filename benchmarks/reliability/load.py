"""Loads that run beside something else: clients in threads, and a generator in a loop of its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from benchmarks.reliability.asking import Client, Reply
from benchmarks.reliability.server import Server
from service.bench.open_loop import Load
from service.bench.shot import Shot

CLIENTS = 8


def capacity(server: Server, shots: Sequence[Shot], seconds: float, clients: int = CLIENTS) -> float:
    """Answers a second that closed-loop clients get, once connections and models are warm."""

    async def measured() -> float:
        generator = server.generator(*shots)
        await generator.closed(clients, min(2.0, seconds))
        load = await generator.closed(clients, seconds)
        generator.close()
        return load.rate

    return asyncio.run(measured())


def open_load(server: Server, shots: Sequence[Shot], rate: float, seconds: float) -> Load:
    async def sent() -> Load:
        generator = server.generator(*shots)
        load = await generator.open(rate, seconds)
        generator.close()
        return load

    return asyncio.run(sent())


@contextmanager
def beside(work: Callable[[], Load]) -> Iterator["Future[Load]"]:
    """Run a load meanwhile; its end is awaited."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work)


@contextmanager
def meanwhile(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run `work` in a thread, which ends when it is told so. Raises what it raised."""
    done = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work, done)
        try:
            yield
        finally:
            done.set()
        working.result()


@contextmanager
def asking(
    server: Server, ask: Callable[[Client, int], Reply], clients: int = CLIENTS, patience_s: float = 60.0
) -> Iterator[list[Reply]]:
    """Clients that ask again as soon as they are answered, until the end. ask: is told the number of the request.

    Numbers are never used twice. All replies are in the list that is given, in the order of their ends.
    """
    replies: list[Reply] = []
    done = threading.Event()

    def client(first: int) -> None:
        connection, number = server.client(patience_s), first
        while not done.is_set():
            replies.append(ask(connection, number))
            number += clients
        connection.close()

    threads = [threading.Thread(target=client, args=(first,)) for first in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield replies
    finally:
        done.set()
        for thread in threads:
            thread.join()
