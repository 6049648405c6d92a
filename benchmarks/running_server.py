"""A server in a process of its own, from its readiness to the end of a measurement."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection

import psutil

READY_S = 180.0


@contextmanager
def running(
    module: str, arguments: Sequence[str], port: int, settings: Mapping[str, str] | None = None
) -> Iterator[psutil.Process]:
    """`python -m module arguments`, ready on `port`. settings: of the service, by their names in capitals."""
    environment = {**os.environ, **{f"UNIREPLKNET_{name}": value for name, value in (settings or {}).items()}}
    with subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment) as child:
        try:
            wait_until_ready(port)
            yield psutil.Process(child.pid)
        finally:
            child.terminate()


def wait_until_ready(port: int) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"the server did not become ready within {READY_S:g} s")
