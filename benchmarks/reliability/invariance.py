"""R9: an answer does not depend on what shares its batch."""

import time
from collections.abc import Iterator
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.reliability.asking import Client, Reply
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.corpus import good_files
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.reliability.load import asking
from benchmarks.reliability.server import demo

EACH, CLIENTS, REQUESTS = 6, 12, 600
LOGITS = "?top_k=0&function_to_apply=none"
TOLERANCE = 1e-5  # of logits, float32 on a CPU; of forecasts, in their units

Values = dict[str, float]


def invariance(conditions: Conditions) -> list[Finding]:
    files = good_files(EACH, conditions.data)
    cases = [(path, f"/{path}" + LOGITS * path.startswith("classify"), body) for path in files for body in files[path]]
    with demo() as server:
        client = server.client()
        alone = [_values(client.post(target, body)) for _, target, body in cases]

        numbered: list[tuple[int, Reply]] = []

        def ask(client: Client, number: int) -> Reply:
            case = _case(number, len(cases))
            reply = client.post(*cases[case][1:])
            numbered.append((case, reply))
            return reply

        with asking(server, ask, CLIENTS) as replies:
            _until(replies, conditions.count(REQUESTS))
    good = [(case, reply) for case, reply in numbered if reply.status == 200]
    sizes = [int(reply.headers["x-batch-size"]) for _, reply in good]
    return [
        Finding("answers", len(good), at_least=1),
        exactly("answers other than 200 and 429", sum(reply.status not in (200, 429) for _, reply in numbered)),
        Finding("mean batch", mean(sizes), at_least=1.5),
        Finding("largest batch", max(sizes), at_least=3),
        exactly("answers with another best class", sum(_best(alone[c]) != _best(_values(r)) for c, r in good)),
        *_differences([path for path, _, _ in cases], alone, good),
    ]


def _case(number: int, count: int) -> int:
    """Clients in step would each meet the same neighbours: a stride that is prime to the number of cases."""
    return number * 7 % count


def _until(replies: list[Reply], count: int) -> None:
    while len(replies) < count:
        time.sleep(0.05)


def _differences(paths: list[str], alone: list[Values], good: list[tuple[int, Reply]]) -> Iterator[Finding]:
    for path in dict.fromkeys(paths):
        apart = [_apart(alone[case], _values(reply)) for case, reply in good if paths[case] == path]
        yield Finding(
            f"{path}: largest difference from the answer alone", max(apart, default=np.nan), at_most=TOLERANCE
        )


def _apart(one: Values, other: Values) -> float:
    return max(abs(one[name] - other[name]) for name in one)


def _best(values: Values) -> str:
    return max(values, key=values.__getitem__)


def _values(reply: Reply) -> Values:
    """Logits by class, or forecast values by their place."""
    answer: dict[str, Any] = reply.json
    if "predictions" in answer:
        return {item["label"]: item["score"] for item in answer["predictions"]}
    return {str(place): value for place, value in enumerate(np.ravel(answer["forecast"]).tolist())}
