"""R6: SIGTERM under load, and a second one."""

import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from benchmarks.reliability.asking import Reply
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.reliability.marks import payload
from benchmarks.reliability.server import Server, serving

SAMPLE_S, BATCH = 0.05, 4
RATE, BEFORE_S, AFTER_S = 14.0, 3.0, 2.0  # 70 % of what it can do
BURST = 24  # requests right before the signal: more than a second of work
ROUNDS = 5
SETTLED_S, LET_IN_S = 0.2, 0.25  # before the signal; and after it, when some are let in still: see service.server
DRAIN_S, AT_ONCE_S = 30.0, 1.0
LONG_S, QUEUED = 0.5, 30
SERVER = "benchmarks.reliability.marked_server"


@dataclass(frozen=True)
class Ending:
    """told: when the signal was sent. unready_s, exit_s: since then. orphans: processes that outlived the server."""

    replies: list[Reply]
    told: float
    unready_s: float
    exit_s: float
    code: int
    orphans: int


def termination(conditions: Conditions) -> list[Finding]:
    endings = [_ended(0.02 * number) for number in range(conditions.count(ROUNDS))]
    pairs = [(reply, ending.told) for ending in endings for reply in ending.replies]
    inside = [r for r, told in pairs if r.written and r.written < told and r.ended > told]
    before = [r for r, told in pairs if r.ended <= told]
    later = [r for r, told in pairs if r.began > told + LET_IN_S and r.status]
    return [
        exactly("answers before the signal other than 200", sum(reply.status != 200 for reply in before)),
        Finding("requests under way at the signal", len(inside), at_least=1),
        exactly("of these answered other than 200", sum(reply.status != 200 for reply in inside)),
        Finding("requests answered after it", len(later), at_least=1),
        exactly("of these other than 503 and Connection: close", sum(not _turned_away(reply) for reply in later)),
        Finding("longest time until not ready, s", max(e.unready_s for e in endings), at_most=AT_ONCE_S),
        Finding("longest time to the end, s", max(ending.exit_s for ending in endings), at_most=DRAIN_S),
        exactly("exit codes other than 0", sum(ending.code != 0 for ending in endings)),
        exactly("processes left", sum(ending.orphans for ending in endings)),
        *_twice(),
    ]


def _turned_away(reply: Reply) -> bool:
    return reply.status == 503 and reply.headers.get("connection") == "close"


def _ended(offset_s: float) -> Ending:
    with serving(SERVER, "0", str(SAMPLE_S), "", max_batch_size=str(BATCH), decode_workers="1") as server:
        processes = server.processes
        with ThreadPoolExecutor(64) as pool:
            asked = _ask(server, pool, BEFORE_S + offset_s)
            asked += [_post(server, pool) for _ in range(BURST)]
            time.sleep(SETTLED_S)
            told = time.monotonic()
            server.end()
            unready_s = _until_unready(server) - told
            asked += _ask(server, pool, AFTER_S)
            code = int(server.process.wait(2 * DRAIN_S))
            exit_s = time.monotonic() - told
        _, alive = psutil.wait_procs(processes[1:], timeout=5)
    return Ending([future.result() for future in asked], told, unready_s, exit_s, code, len(alive))


def _ask(server: Server, pool: ThreadPoolExecutor, seconds: float) -> "list[Future[Reply]]":
    futures, start = [], time.monotonic()
    for number in range(int(RATE * seconds)):
        time.sleep(max(0.0, start + number / RATE - time.monotonic()))
        futures.append(_post(server, pool))
    return futures


def _post(server: Server, pool: ThreadPoolExecutor) -> "Future[Reply]":
    return pool.submit(lambda: server.client().post("/classify/image", payload(1)))


def _until_unready(server: Server) -> float:
    while server.client().get("/health/ready").status == 200:
        time.sleep(0.005)
    return time.monotonic()


def _twice() -> list[Finding]:
    """A second signal while there is work for seconds."""
    with (
        serving(SERVER, str(LONG_S), "0", "", max_batch_size="1", decode_workers="1") as server,
        ThreadPoolExecutor(QUEUED) as pool,
    ):
        processes = server.processes
        for _ in range(QUEUED):
            _post(server, pool)
        time.sleep(LONG_S)
        server.end()
        time.sleep(LONG_S / 2)
        told = time.monotonic()
        server.end()
        code = int(server.process.wait(2 * DRAIN_S))
        seconds = time.monotonic() - told
        _, alive = psutil.wait_procs(processes[1:], timeout=5)
    return [
        Finding("time to the end after a second signal, s", seconds, at_most=AT_ONCE_S),
        exactly("its exit code", code, 128 + signal.SIGTERM),
        exactly("processes left after it", len(alive)),
    ]
