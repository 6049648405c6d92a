"""The service, with a clock in its event loop and one more route, /watch, that tells what the clock saw.

Arguments: `demo`, or `marked` with the arguments of `benchmarks.reliability.marker`. Settings by the environment.
"""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psutil
import uvicorn
from fastapi import FastAPI

from service import logs
from service.app import create_app
from service.connection import Connection
from service.engine.base import Load
from service.loading import CHECKPOINTS, NamedLoad
from service.server import DrainingServer
from service.settings import Settings

TICK_S = 0.005


class LoopClock:
    """How late the event loop ran what was due: by the clock, and how much of that it computed itself.

    The second does not grow when other programs take the processor.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._late: list[float] = []
        self._computed: list[float] = []

    async def tick(self) -> None:
        while True:
            due, spent = time.perf_counter() + TICK_S, time.thread_time()
            await asyncio.sleep(TICK_S)
            self._late.append(time.perf_counter() - due)
            self._computed.append(time.thread_time() - spent)

    def told(self) -> dict[str, float]:
        late = sorted(self._late) or [float("nan")]
        return {
            "ticks": len(self._late),
            "late_p99_ms": 1e3 * late[int(0.99 * len(late))],
            "late_max_ms": 1e3 * late[-1],
            "computed_max_ms": 1e3 * max(self._computed, default=float("nan")),
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
            "fds": psutil.Process().num_fds(),
        }


def watched(app: FastAPI) -> FastAPI:
    clock = LoopClock()
    lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def with_clock(app: FastAPI) -> AsyncIterator[None]:
        ticking = asyncio.create_task(clock.tick())
        async with lifespan(app):
            yield
        ticking.cancel()

    @app.get("/watch")
    async def read() -> dict[str, float]:
        return clock.told()

    @app.post("/watch")
    async def reset() -> dict[str, float]:
        told = clock.told()
        clock.clear()
        return told

    app.router.lifespan_context = with_clock
    return app


LOADS: dict[str, Callable[..., Load]] = {
    "demo": lambda: CHECKPOINTS,
    "marked": lambda start_s, each_s, ledger: NamedLoad(
        "benchmarks.reliability.marker:marked_pipelines", (float(start_s), float(each_s), ledger)
    ),
}


def main(name: str, *arguments: str) -> None:
    settings = Settings()
    logs.configure(settings.log_level, settings.log_format)
    app = watched(create_app(settings, lambda models: gc.freeze(), LOADS[name](*arguments)))  # as run_server does
    config = uvicorn.Config(
        app, host=settings.host, port=settings.port, http=Connection, log_config=None, access_log=False
    )
    DrainingServer(config, app.state.runtime).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
