"""R12: from a command to the first answer."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from benchmarks.reliability.asking import Client
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.corpus import good_files
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.reliability.server import free_port

STARTS, STEADY = 5, 15
READY_S, TIMES_MEDIAN = 10.0, 1.5
GIVE_UP_S = 180.0


@dataclass(frozen=True)
class Start:
    """listening_s, ready_s: since the command. others: answers other than 503 before it was ready. ratios: of the
    first answer's time to the median of the next, by path.
    """

    listening_s: float
    ready_s: float
    others: int
    ratios: Mapping[str, float]


def cold_start(conditions: Conditions) -> list[Finding]:
    files = {path: bodies[0] for path, bodies in good_files(2, conditions.data).items()}
    starts = [_started(files) for _ in range(conditions.count(STARTS))]
    return [
        Finding("starts", len(starts)),
        Finding("time until it listens, s, median", median(start.listening_s for start in starts)),
        Finding("time until it is ready, s, median", median(start.ready_s for start in starts), at_most=READY_S),
        exactly("answers before that other than 503", sum(start.others for start in starts)),
        *(
            Finding(
                f"{path}: first answer's time / that of the next ones, median",
                median(start.ratios[path] for start in starts),
                at_most=TIMES_MEDIAN,
            )
            for path in files
        ),
    ]


def _started(files: Mapping[str, bytes]) -> Start:
    port, began = free_port(), time.monotonic()
    environment = {**os.environ, "UNIREPLKNET_LOG_LEVEL": "warning"}
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            listening, others = _until_ready(port, *next(iter(files.items())))
            ready = time.monotonic()
            ratios = {path: _ratio(Client(port), path, body) for path, body in files.items()}
        finally:
            process.terminate()
    return Start(listening - began, ready - began, others, ratios)


def _until_ready(port: int, path: str, body: bytes) -> tuple[float, int]:
    """When it listened, and how many requests were answered other than by 503 before it was ready."""
    listening, others = 0.0, 0
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        early = Client(port).post(f"/{path}", body)
        status = Client(port).get("/health/ready").status
        listening = listening or (time.monotonic() if status else 0.0)
        if status == 200:
            return listening, others
        others += early.status not in (0, 503)
        time.sleep(0.05)
    raise TimeoutError(f"the server did not become ready within {GIVE_UP_S:g} s")


def _ratio(client: Client, path: str, body: bytes) -> float:
    first, *others = (client.post(f"/{path}", body).seconds for _ in range(1 + STEADY))
    return first / median(others)
