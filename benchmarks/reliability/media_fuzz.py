"""R8: damaged files of every kind, and crafted ones, over HTTP to the demo models."""

import itertools
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.reliability.asking import Client, Reply
from benchmarks.reliability.bombs import BOMBS
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.reliability.load import meanwhile
from benchmarks.reliability.media import kinds
from benchmarks.reliability.server import Server, demo
from service.bench.open_loop import percentile
from tests.hostile import damaged

FILES, CLIENTS = 10_000, 4
LONGEST_S, USUAL_S = 12.0, 2.0  # the decoding time-out and some room
GROWTH_MB = 200
ROUNDS = 30  # of sound files before, so that every worker has met each kind: growth is what damaged ones add to that
MEGABYTE = 1e6
EXPECTED = {200, 400, 413, 415, 422}

Case = tuple[str, str, bytes]


def media_fuzz(conditions: Conditions) -> list[Finding]:
    peak: list[float] = []
    crafted = [(name, path, make()) for name, (path, make) in BOMBS.items()]
    with demo(decode_workers="2") as server:
        sound = _post_all(server, ROUNDS * _sound())
        before = server.resident_bytes

        def observe(done: threading.Event) -> None:
            while not done.wait(0.3):
                peak.append((server.resident_bytes - before) / MEGABYTE)

        with meanwhile(observe):
            mutated = _post_all(server, _mutated(conditions.count(FILES)))
            peak_of_mutated = max(peak, default=0.0)
            bombs = _post_all(server, crafted)
        after = _post_all(server, _sound())
    replies = [reply for _, reply in mutated]
    times = [reply.seconds for reply in replies]
    return [
        exactly("sound files answered other than 200", _not_ok(sound) + _not_ok(after)),
        Finding("damaged files", len(mutated)),
        Finding("damaged files that are answered 200", sum(reply.status == 200 for reply in replies)),
        exactly(
            f"damaged files answered otherwise than 200 or 4xx {_odd(mutated)}".strip(), sum(_odd(mutated).values())
        ),
        Finding("p99 of their answers, s", percentile(times, 0.99), at_most=USUAL_S),
        Finding("longest of their answers, s", max(times), at_most=LONGEST_S),
        Finding("memory (RSS) growth at its peak, MB", peak_of_mutated, at_most=GROWTH_MB),
        Finding("crafted files", len(bombs)),
        exactly(f"crafted files answered otherwise than 200 or 4xx {_odd(bombs)}".strip(), sum(_odd(bombs).values())),
        Finding("longest of their answers, s", max(reply.seconds for _, reply in bombs), at_most=LONGEST_S),
        Finding("memory (RSS) growth at its peak with these, MB", max(peak), at_most=GROWTH_MB),
    ]


def _sound() -> list[Case]:
    return [(name, kind.path, kind.sound) for name, kind in kinds().items()]


def _mutated(count: int) -> Iterator[Case]:
    rng = random.Random(0)
    for name, path, sound in itertools.islice(itertools.cycle(_sound()), count):
        yield name, path, damaged(sound, rng)


def _post_all(server: Server, cases: "Iterator[Case] | list[Case]") -> list[tuple[str, Reply]]:
    waiting, lock = iter(cases), threading.Lock()

    def work(client: Client) -> list[tuple[str, Reply]]:
        replies: list[tuple[str, Reply]] = []
        while True:
            with lock:
                case = next(waiting, None)
            if case is None:
                return replies
            name, path, body = case
            replies.append((name, client.post(path, body)))

    with ThreadPoolExecutor(CLIENTS) as pool:
        parts = pool.map(work, [server.client() for _ in range(CLIENTS)])
        return [pair for part in parts for pair in part]


def _not_ok(replies: list[tuple[str, Reply]]) -> int:
    return sum(reply.status != 200 for _, reply in replies)


def _odd(replies: list[tuple[str, Reply]]) -> Counter[str]:
    return Counter(f"{name}: {reply.status}" for name, reply in replies if reply.status not in EXPECTED)
