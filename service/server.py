"""Run the application under uvicorn, say so once it answers, and end in order."""

import asyncio
import gc
import logging
import math
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from service import logs
from service.app import create_app
from service.connection import Connection
from service.console import show_serving
from service.engine import prestart
from service.engine.base import Load, ModelInfo
from service.listening import listening
from service.loading import CHECKPOINTS
from service.logs import LogFormat
from service.runtime import Runtime
from service.settings import Settings

YOUNG_OBJECTS = 20_000  # before they are looked through: of a few dozen requests, where Python's 700 are two
UNDER_WAY_S = 0.1  # what was sent before the signal is let in, though a busy server reads it after

log = logging.getLogger(__name__)


class DrainingServer(uvicorn.Server):
    """On the first signal it lets nobody in and answers who is there; on the second it ends at once.

    Proxies may be given notice: for `drain_notice_s` only the probes are refused, and they stop sending requests here.
    Until the last one is answered it goes on listening: whoever still comes is told to go elsewhere, and probes see it.
    """

    def __init__(self, config: uvicorn.Config, runtime: Runtime) -> None:
        super().__init__(config)
        self.runtime = runtime

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """`run_server` has them handled from before this runs until the process ends."""
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        open_requests = self.runtime.open_requests
        if open_requests.leaving:
            os._exit(128 + sig)  # workers and engines end with this process
        open_requests.leaving = True
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Whether it is to end: a server whose models cannot be loaded does, for whoever started it to see."""
        return await super().on_tick(counter) or self.runtime.fault is not None

    async def main_loop(self) -> None:
        notice_s = self.runtime.settings.drain_notice_s
        await super().main_loop()
        # What never was ready, no proxy sends anything to
        await asyncio.sleep(max(UNDER_WAY_S, notice_s if self.runtime.ready else 0.0))
        await self.runtime.open_requests.drain(self.runtime.settings.drain_timeout_s)


def run_server(settings: Settings, load: Load = CHECKPOINTS) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are answered first.

    Raises SystemExit where it cannot: the log says why.
    """
    logs.configure(settings.log_level, settings.log_format)
    sockets = _listening(settings)

    def announce(models: list[ModelInfo]) -> None:
        gc.freeze()  # what is here by now stays: walking over it took a third of a second in the middle of requests
        gc.set_threshold(YOUNG_OBJECTS)
        _announce(sockets[0], models, settings.log_format)

    app = create_app(settings, announce, load)
    prestart.end()  # another kind of engine has no use for it
    config = uvicorn.Config(
        app,
        http=Connection,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=max(1, math.ceil(settings.drain_timeout_s)),
    )
    server = DrainingServer(config, app.state.runtime)
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, server.handle_exit)
    server.run(sockets)
    gc.freeze()  # nothing is left to be collected: looking for it would take the interpreter seconds
    if server.runtime.fault is not None:
        raise SystemExit(1)


def _listening(settings: Settings) -> list[socket.socket]:
    try:
        return listening(settings.host, settings.port)
    except OSError as error:
        log.critical("%s", error)
        raise SystemExit(1) from None


def _announce(served_at: socket.socket, models: list[ModelInfo], log_format: LogFormat) -> None:
    host, port = served_at.getsockname()[:2]
    if log_format is LogFormat.JSON:
        log.info("serving at http://%s:%s/docs", host, port)
    else:
        show_serving(f"http://{host}:{port}", models)
