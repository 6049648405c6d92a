"""R1: hours of ordinary work, in minutes: mixed files, some of them broken, and clients that leave."""

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.corpus import mixed
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.reliability.load import capacity, meanwhile, open_load
from benchmarks.reliability.server import Server, demo
from service.bench.open_loop import Load
from service.bench.shot import Shot
from tests.hostile import damaged

SHARE_OF_CAPACITY, BAD, ABORTED = 0.7, 0.01, 0.05
WARM_UP = 1 / 3  # of the time
SAMPLE_S = 2.0
REST_S = 8.0  # idle connections are closed by then
MEGABYTE = 1e6


def soak(conditions: Conditions) -> list[Finding]:
    good = mixed(conditions.data)
    shots = [*good, *_bad(good)]
    length = conditions.soak_s
    with demo() as server:
        rate = SHARE_OF_CAPACITY * capacity(server, good, min(15.0, length / 4))
        warm_up = open_load(server, shots, rate, length * WARM_UP)
        rested = _at_rest(server)
        with _aborting(server, good, ABORTED * rate), _sampled(server) as memory:
            load = open_load(server, shots, rate, length * (1 - WARM_UP))
        after = _at_rest(server)
    early, late = _ends(memory)
    halves = [_half(load, 0), _half(load, 1)]
    failures = sum(answer.status == 0 or answer.status >= 500 for answer in warm_up.answers + load.answers)
    return [
        Finding("requests", len(warm_up.answers) + len(load.answers)),
        Finding("requests a second, 70 % of capacity", rate),
        exactly("answers 5xx or none", failures),
        Finding("answers 429", load.count(429)),
        Finding("memory (USS) growth, %", 100 * (late / early - 1), at_most=2),
        Finding("memory (USS) growth, MB", (late - early) / MEGABYTE, at_most=20),
        *(Finding(f"{name} at rest, growth", after[name] - rested[name], at_most=1) for name in rested),
        Finding("p99 of the second half / of the first", halves[1] / halves[0], at_most=1.2),
    ]


def _bad(good: list[Shot]) -> list[Shot]:
    """One broken file of each, together a hundredth of the load."""
    rng, share = random.Random(0), BAD / (1 - BAD)
    return [Shot(shot.path, damaged(shot.body[: len(shot.body) // 2], rng), share) for shot in good]


def _at_rest(server: Server) -> dict[str, float]:
    time.sleep(REST_S)
    told = server.watch()
    return {
        "file descriptors": told["fds"],
        "threads": server.over_all(lambda process: process.num_threads()),
        "tasks": told["tasks"],
        "processes": len(server.processes),
    }


def _ends(memory: list[float]) -> tuple[float, float]:
    """Of the first and the last quarter, the middle value of each."""
    quarter = max(1, len(memory) // 4)
    return median(memory[:quarter]), median(memory[-quarter:])


def _half(load: Load, number: int) -> float:
    middle = load.seconds / 2
    answers = [answer for answer in load.answers if (answer.end_s - answer.latency_s >= middle) == bool(number)]
    return Load(load.rate, middle, answers).percentile_ms(0.99, 200)


@contextmanager
def _sampled(server: Server) -> Iterator[list[float]]:
    values: list[float] = []

    def sample(done: threading.Event) -> None:
        while not done.wait(SAMPLE_S):
            values.append(server.own_bytes)

    with meanwhile(sample):
        yield values


@contextmanager
def _aborting(server: Server, shots: list[Shot], rate: float) -> Iterator[None]:
    """Clients that leave: in the middle of their request, or before its answer."""
    rng = random.Random(1)

    def leave(done: threading.Event) -> None:
        while not done.wait(rng.expovariate(rate)):
            request = rng.choice(shots).request("127.0.0.1")
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(request[: rng.choice([len(request) // 2, len(request)])])
                time.sleep(rng.uniform(0, 0.2))

    with meanwhile(leave):
        yield
