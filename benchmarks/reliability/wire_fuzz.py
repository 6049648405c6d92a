"""R7: raw sockets that send what `attacks` holds; every one is answered, refused or closed in time."""

import random
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.reliability.attacks import ATTACKS, GOOD, Attack, whole
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.reliability.load import meanwhile
from benchmarks.reliability.server import Server, marked

SECONDS, THREADS = 120.0, 24
BODY_TIMEOUT_S = 3
LONGEST_S = 20.0  # the headers' time, the body's, that of an idle connection, and some room
REST_S = 12.0  # connections that nobody uses are closed by then
MEGABYTE = 1e6
STATUS = re.compile(rb"^HTTP/1\.1 (\d{3})", re.M)
RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Outcome:
    """statuses: of all answers. ended: answered, or closed by the server, or the client had left."""

    name: str
    statuses: list[int]
    seconds: float
    ended: bool


def wire_fuzz(conditions: Conditions) -> list[Finding]:
    outcomes: list[Outcome] = []
    peak: list[float] = []
    probes: list[bool] = []
    with marked(body_timeout_s=str(BODY_TIMEOUT_S), max_body_bytes="1000000", decode_workers="1") as server:
        for _ in range(50):
            _attack(server, "good", whole(GOOD), random.Random(0))
        before, rested = server.resident_bytes, _at_rest(server)

        def observe(done: threading.Event) -> None:
            while not done.wait(0.5):
                peak.append(server.resident_bytes - before)
                probes.append(server.client(10).get("/health/live").status == 200)

        with meanwhile(observe):
            _everything(server, conditions.seconds(SECONDS), outcomes)
        after = _at_rest(server)
        last = _attack(server, "good", whole(GOOD), random.Random(0))
    broken = sorted({o.name for o in outcomes if max(o.statuses, default=0) >= 500})
    hung = sorted({outcome.name for outcome in outcomes if not outcome.ended})
    return [
        Finding("connections", len(outcomes)),
        exactly("kinds of attack that were not made", len(ATTACKS.keys() - {o.name for o in outcomes})),
        exactly(f"kinds answered 5xx {broken or ''}".strip(), len(broken)),
        exactly(f"kinds that hung {hung or ''}".strip(), len(hung)),
        Finding("longest connection, s", max(outcome.seconds for outcome in outcomes), at_most=LONGEST_S),
        exactly("probes that failed", probes.count(False)),
        Finding("memory (RSS) growth at its peak, MB", max(peak) / MEGABYTE, at_most=100),
        Finding("file descriptors at rest, growth", after - rested, at_most=1),
        exactly("a good request afterwards", last.statuses[0], 422),  # a picture is no mark
    ]


def _at_rest(server: Server) -> float:
    time.sleep(REST_S)
    return server.watch()["fds"]


def _everything(server: Server, seconds: float, outcomes: list[Outcome]) -> None:
    """Every attack at least once, then at random until the time is over."""
    until = time.monotonic() + seconds
    names = _names(until)
    lock = threading.Lock()

    def work(number: int) -> None:
        rng = random.Random(number)
        while True:
            with lock:
                name = next(names, None)
            if name is None:
                return
            outcomes.append(_attack(server, name, ATTACKS[name], rng))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _names(until: float) -> Iterator[str]:
    yield from ATTACKS
    rng = random.Random(0)
    while time.monotonic() < until:
        yield rng.choice(list(ATTACKS))


def _attack(server: Server, name: str, attack: Attack, rng: random.Random) -> Outcome:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=LONGEST_S) as connection:
        heard, ended = _converse(connection, attack, rng, began + LONGEST_S)
        if rng.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    statuses = [int(status) for status in STATUS.findall(heard)]
    return Outcome(name, statuses, time.monotonic() - began, ended or attack.leaves)


def _converse(connection: socket.socket, attack: Attack, rng: random.Random, until: float) -> tuple[bytes, bool]:
    """What the server says, and whether it said or closed anything."""
    heard = b""
    try:
        for piece, pause_s in attack.pieces(rng):
            connection.sendall(piece)
            more = _hear(connection, pause_s) if not attack.leaves else None
            if attack.leaves:
                time.sleep(pause_s)
            if more is not None:
                return heard + more, True
        if attack.leaves:
            return b"", True
        more = _hear(connection, max(0.0, until - time.monotonic()))
    except OSError:  # closed while we were sending
        return heard, True
    return heard + (more or b""), more is not None


def _hear(connection: socket.socket, patience_s: float) -> bytes | None:
    """What comes within that time and right behind it; None where nothing does, empty where it is the end."""
    heard: bytes | None = None
    connection.settimeout(max(patience_s, 1e-4))
    try:
        while more := connection.recv(1 << 20):
            heard = (heard or b"") + more
            connection.settimeout(0.05)
        return heard or b""
    except TimeoutError:
        return heard
    finally:
        connection.settimeout(LONGEST_S)
