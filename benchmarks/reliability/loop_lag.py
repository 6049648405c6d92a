"""R15: nothing holds the event loop up, and an idle server rests."""

import time

from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.corpus import mixed
from benchmarks.reliability.finding import Finding
from benchmarks.reliability.load import capacity, open_load
from benchmarks.reliability.server import demo, plain

SECONDS, IDLE_S, SETTLED_S = 30.0, 60.0, 5.0
SHARE_OF_CAPACITY = 0.7
MOST_MS, IDLE_PERCENT = 50.0, 1.0


def loop_lag(conditions: Conditions) -> list[Finding]:
    shots = mixed(conditions.data)
    with demo() as server:
        rate = SHARE_OF_CAPACITY * capacity(server, shots, max(2.0, conditions.seconds(SECONDS) / 4))
        server.watch(reset=True)
        load = open_load(server, shots, rate, conditions.seconds(SECONDS))
        told = server.watch()
    return [
        Finding("requests", len(load.answers)),
        Finding("lateness of the event loop, p99, ms", told["late_p99_ms"], at_most=MOST_MS),
        Finding("lateness of the event loop, at most, ms", told["late_max_ms"], at_most=MOST_MS),
        Finding("its own longest computation, ms of processor time", told["computed_max_ms"], at_most=MOST_MS),
        Finding("processor time of an idle server, % of a core", _idle(conditions), at_most=IDLE_PERCENT),
    ]


def _idle(conditions: Conditions) -> float:
    """Of all its processes, the demo models loaded."""
    seconds = conditions.seconds(IDLE_S)
    with plain() as server:
        time.sleep(SETTLED_S)
        before = server.cpu_s
        time.sleep(seconds)
        return 100 * (server.cpu_s - before) / seconds
