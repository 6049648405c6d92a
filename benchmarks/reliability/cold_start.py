"""R12: from a command to the first answer."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.reliability.asking import Client
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.corpus import good_files
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.reliability.server import free_port
from service.settings import EMBEDDED_CHECKPOINTS

STARTS, STEADY = 5, 15
READY_S, TIMES_MEDIAN = 10.0, 1.5
GIVE_UP_S = 180.0
EARLY = b"whatever it is, it comes too early"


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
    times = conditions.count(STARTS)
    smallest = min(EMBEDDED_CHECKPOINTS.glob("*.safetensors"), key=lambda file: file.stat().st_size)
    alone = [_started({}, smallest) for _ in range(times)]
    starts = [_started(files, EMBEDDED_CHECKPOINTS) for _ in range(times)]
    return [
        Finding("starts", times),
        Finding("time until it listens, s, median", median(start.listening_s for start in starts)),
        Finding(
            "time until it is ready with the smallest model, s, median",
            median(start.ready_s for start in alone),
            at_most=READY_S,
        ),
        Finding("time until it is ready with all demo models, s, median", median(start.ready_s for start in starts)),
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


def _started(files: Mapping[str, bytes], checkpoints: Path) -> Start:
    port, began = free_port(), time.monotonic()
    environment = {**os.environ, "UNIREPLKNET_LOG_LEVEL": "warning", "UNIREPLKNET_CHECKPOINTS": str(checkpoints)}
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            listening, others = _until_ready(port)
            ready = time.monotonic()
            ratios = {path: _ratio(Client(port), path, body) for path, body in files.items()}
        finally:
            process.terminate()
    return Start(listening - began, ready - began, others, ratios)


def _until_ready(port: int) -> tuple[float, int]:
    """When it listened, and how many requests were answered other than by 503 before it was ready."""
    listening, others = 0.0, 0
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        early = Client(port).post("/classify/image", EARLY)
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
