"""Engines for tests: one fork server for all of them, since importing torch is what takes the time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import pytest

from service.engine.base import EngineOptions
from service.engine.fork_server import ForkServer
from service.engine.process import ProcessEngine
from service.settings import Settings
from tests.service.engine import puppet

PATIENCE_S = 100
CPU = Settings(device="cpu", threads=1, max_batch_size=2)
T = TypeVar("T")

Started = Callable[..., AbstractAsyncContextManager[ProcessEngine]]


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, PATIENCE_S))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S / 2):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    fork_server = ForkServer()
    yield fork_server
    asyncio.run(fork_server.close())


@pytest.fixture
def started(fork_server: ForkServer) -> Started:
    """A running engine with the puppet. Arguments: those of EngineOptions, and of ProcessEngine."""

    @asynccontextmanager
    async def start(load: Any = puppet.load, on_lost: Any = None, **options: Any) -> AsyncIterator[ProcessEngine]:
        chosen = EngineOptions(**options)
        engine = ProcessEngine(CPU, options=chosen, fork_server=fork_server, load=load, on_lost=on_lost)
        try:
            await engine.start()
            yield engine
        finally:
            await engine.close()

    return start
