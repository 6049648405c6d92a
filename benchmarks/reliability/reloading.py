"""R14: a model comes and goes while the others are asked."""

import time

from benchmarks.reliability.asking import Client, Reply
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.corpus import good_files
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.reliability.load import asking
from benchmarks.reliability.server import Server, demo

CYCLES, CLIENTS = 10, 3
KEY, CHANGING = "chief", "camera-motion"
PATHS = ("classify/image", "classify/audio")
WARM_UP_CYCLES, SETTLED_S = 2, 3.0
GROWTH_PERCENT = 5.0


def reloading(conditions: Conditions) -> list[Finding]:
    files = good_files(2, conditions.data)
    cases = [(f"/{path}", body) for path in PATHS for body in files[path]]

    def ask(client: Client, number: int) -> Reply:
        return client.post(*cases[number % len(cases)])

    with demo(admin_keys=KEY) as server:
        with asking(server, ask, CLIENTS) as replies:
            changes = [_changed(server) for _ in range(WARM_UP_CYCLES)]
            before = _settled(server)
            changes += [_changed(server) for _ in range(conditions.count(CYCLES))]
            after = _settled(server)
        restarts = server.metric("engine_restarts_total")
    statuses = [reply.status for reply in replies]
    return [
        Finding("times that the model went and came", len(changes)),
        exactly("changes that failed", sum(not is_done for is_done in changes)),
        Finding("answers by the other models", statuses.count(200), at_least=1),
        exactly("of these other than 200 and 429", sum(status not in (200, 429) for status in statuses)),
        exactly("engines lost", restarts),
        Finding("memory (USS) growth, %", 100 * (after / before - 1), at_most=GROWTH_PERCENT),
    ]


def _changed(server: Server) -> bool:
    """Unloaded, not answering, and loaded again."""
    client, authorization = server.client(), {"Authorization": f"Bearer {KEY}"}
    gone = client.post(f"/models/{CHANGING}/unload", b"", **authorization).status == 200
    gone = gone and client.get(f"/models/{CHANGING}").status == 404
    return client.post(f"/models/{CHANGING}/load", b"", **authorization).status == 200 and gone


def _settled(server: Server) -> float:
    time.sleep(SETTLED_S)
    return server.own_bytes
