"""Run the application under uvicorn, and say so once it answers."""

import logging
import signal

import uvicorn

from service.app import create_app
from service.console import show_serving
from service.pipeline import Pipeline
from service.settings import Settings

DRAIN_S = 30


def run_server(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are answered first."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    def announce(pipelines: list[Pipeline]) -> None:
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        show_serving(f"http://{host}:{port}", pipelines)

    config = uvicorn.Config(
        create_app(settings, announce),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=settings.log_level == "debug",
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = uvicorn.Server(config)
    # uvicorn drains, then raises the signal again under the handler it found: an orderly end is status 0.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda number, frame: None)
    server.run()
