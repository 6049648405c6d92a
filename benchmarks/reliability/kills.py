"""R4: the engine's process is killed under load, again and again."""

import os
import random
import signal
import time

from benchmarks.reliability.asking import Client, Reply
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.corpus import mixed
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.reliability.load import asking
from benchmarks.reliability.server import Server, demo

KILLS = 20
ANSWERED_S, READY_MORE_S = 1.0, 2.0
REFUSED_PAUSE_S = 0.1
GIVE_UP_S = 60.0


def kills(conditions: Conditions) -> list[Finding]:
    shots = mixed(conditions.data)
    rng = random.Random(0)

    def ask(client: Client, number: int) -> Reply:
        shot = shots[number % len(shots)]
        reply = client.post(shot.path, shot.body)
        if reply.status != 200:
            time.sleep(REFUSED_PAUSE_S)
        return reply

    began = time.monotonic()
    with demo() as server:
        load_s = time.monotonic() - began
        with asking(server, ask, clients=4) as replies:
            times = [_kill(server, rng, replies) for _ in range(conditions.count(KILLS))]
        restarts = server.metric("engine_restarts_total")
    waits = [reply.ended - killed for killed, _ in times for reply in replies if reply.began < killed < reply.ended]
    return [
        exactly("kills", restarts, len(times)),
        Finding("requests under way when it was killed", len(waits), at_least=1),
        Finding("longest wait of theirs after it, s", max(waits, default=0.0), at_most=ANSWERED_S),
        Finding("requests", len(replies)),
        exactly("answers other than 200, 429 and 503", sum(r.status not in (200, 429, 503) for r in replies)),
        Finding("answers 503", sum(reply.status == 503 for reply in replies)),
        Finding("longest time until it was ready again, s", max(s for _, s in times), at_most=load_s + READY_MORE_S),
        Finding("time until it was ready at first, s", load_s),
    ]


def _kill(server: Server, rng: random.Random, replies: list[Reply]) -> tuple[float, float]:
    """Once it works: when it was killed, and the seconds until it was ready again."""
    answered = len(replies)
    _until(lambda: len([reply for reply in replies[answered:] if reply.status == 200]) > 3)
    time.sleep(rng.uniform(0, 0.2))
    engine = server.engine()
    assert engine is not None
    killed = time.monotonic()
    os.kill(engine.pid, signal.SIGKILL)
    client = server.client()
    _until(lambda: server.engine() not in (None, engine) and client.get("/health/ready").status == 200)
    return killed, time.monotonic() - killed


def _until(condition: object) -> None:
    deadline = time.monotonic() + GIVE_UP_S
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise TimeoutError(f"the service did not recover within {GIVE_UP_S:g} s")
        time.sleep(0.02)
