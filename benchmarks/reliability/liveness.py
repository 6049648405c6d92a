"""R13: the probe of an orchestrator, every 100 ms, at ten times the capacity."""

from contextlib import AbstractContextManager

from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.corpus import mixed
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.reliability.load import capacity, open_load
from benchmarks.reliability.marks import payload
from benchmarks.reliability.prober import prober
from benchmarks.reliability.server import Server, demo, marked
from service.bench.open_loop import percentile
from service.bench.shot import Shot

FACTOR, SECONDS = 10, 20.0
SAMPLE_S, BATCH = 0.05, 4
P99_MS = 100.0

Starting = AbstractContextManager[Server]


def liveness(conditions: Conditions) -> list[Finding]:
    mark = [Shot("/classify/image", payload(1, 100_000))]
    slow = marked(0, SAMPLE_S, max_batch_size=str(BATCH), max_queue_wait_s="1", decode_workers="1")
    cases: dict[str, tuple[Starting, list[Shot]]] = {
        "a model that sleeps": (slow, mark),
        "the demo models": (demo(max_queue_wait_s="2"), mixed(conditions.data)),
    }
    seconds = conditions.seconds(SECONDS)
    return [finding for name, (starting, shots) in cases.items() for finding in _probed(name, starting, shots, seconds)]


def _probed(name: str, starting: Starting, shots: list[Shot], seconds: float) -> list[Finding]:
    with starting as server, prober() as probing:
        rate = capacity(server, shots, max(2.0, seconds / 4))
        probes = probing(server.port, seconds)
        load = open_load(server, shots, FACTOR * rate, seconds)
        replies = probes.result()
    times = [1e3 * reply.seconds for reply in replies]
    return [
        Finding(f"{name}: capacity, requests a second", rate),
        exactly(f"{name}: answers other than 200 and 429", len(load.answers) - load.count(200, 429)),
        Finding(f"{name}: probes", len(replies), at_least=1),
        exactly(f"{name}: probes that failed", sum(reply.status != 200 for reply in replies)),
        Finding(f"{name}: p99 of probes, ms", percentile(times, 0.99), at_most=P99_MS),
        Finding(f"{name}: lateness of the generator, p99, ms", load.lateness_ms(0.99)),
    ]
