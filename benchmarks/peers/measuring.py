"""One row: what a candidate does with one workload."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.peers import bad_input
from benchmarks.peers.core_speed import core_speed
from benchmarks.peers.family import Family
from benchmarks.peers.setting import PICTURE, ROUTE
from service.bench.open_loop import START_S, Answer, Generator, Load
from service.bench.shot import Address, Shot

Figures = dict[str, Any]
SHARES = (0.9, 0.75, 0.6, 0.45, 0.3)  # of the capacity: the rates that are tried, highest first
START_PATIENCE_S = 300.0
SERVERS_CORE = 1
BURST, BURST_S = 32, 0.02  # requests, and the time in which they are sent: about a second of work


@dataclass(frozen=True)
class Terms:
    """p99_ms: the latency that is still good. fixed_rate: requests a second at which all candidates are compared.

    clients: that ask as fast as they are answered, to find the capacity.
    """

    p99_ms: float
    fixed_rate: float
    clients: int


TERMS = {"null": Terms(50, 50, 16), "clothing10": Terms(500, 5, 16)}


class Measuring:
    """A running candidate under loads of `seconds` each."""

    def __init__(self, family: Family, port: int, terms: Terms, seconds: float) -> None:
        self.family, self.port, self.terms, self.seconds = family, port, terms, seconds
        self.body, self.content_type = bad_input.multipart(PICTURE.read_bytes())

    def row(self) -> Figures:
        """All figures but those that break it."""
        ready_s = self._await_readiness()
        self._closed(self.seconds / 2)
        idle = self.family.cpu_s()
        time.sleep(self.seconds / 2)
        idle_share = (self.family.cpu_s() - idle) / (self.seconds / 2)
        speed = core_speed(SERVERS_CORE)
        start, before = time.monotonic(), self.family.cpu_s()
        full = self._closed(self.seconds)
        spent = self.family.cpu_s() - before
        capacity = full.count(200) / (time.monotonic() - start)
        speed = (speed + core_speed(SERVERS_CORE)) / 2
        memory = self.family.memory()
        return {
            "ready_s": round(ready_s, 1),
            "idle_cpu_share": round(idle_share, 3),
            "capacity_per_s": round(capacity, 1),
            "core_speed": round(speed, 1),
            "failed_at_capacity": len(full.answers) - full.count(200),
            "per_cpu_s_at_capacity": round(full.count(200) / spent, 1),
            **self._at_fixed_rate(),
            **self._within_limit(capacity),
            "pss_mb": memory.pss_mb,
            "rss_mb": memory.rss_mb,
            "processes": memory.processes,
            **self._overloaded(capacity),
        }

    def breaking(self) -> Figures:
        """What it says to bad input, and how it ends."""
        return {**bad_input.statuses(self.port), **self._ended()}

    def _generator(self) -> Generator:
        """A new one for each event loop, since its connections belong to one."""
        return Generator(Address("127.0.0.1", self.port), [Shot(ROUTE, self.body, media_type=self.content_type)])

    def _await_readiness(self) -> float:
        start = time.monotonic()
        while bad_input.status(self.port, self.body, self.content_type) != 200:
            if time.monotonic() > start + START_PATIENCE_S or self.family.process.poll() is not None:
                raise TimeoutError("the server does not answer")
            time.sleep(0.2)
        return time.monotonic() - start

    def _closed(self, seconds: float) -> Load:
        return asyncio.run(self._generator().closed(self.terms.clients, seconds))

    def _open(self, rate: float, seconds: float) -> Load:
        return asyncio.run(self._generator().open(rate, seconds))

    def _at_fixed_rate(self) -> Figures:
        before = self.family.cpu_s()
        load = self._open(self.terms.fixed_rate, self.seconds)
        spent = self.family.cpu_s() - before
        return {
            "fixed_rate": self.terms.fixed_rate,
            "per_cpu_s_at_fixed_rate": round(load.count(200) / spent, 1),
            "fixed_p50_ms": round(load.percentile_ms(0.5, 200), 1),
            "fixed_p99_ms": round(load.percentile_ms(0.99, 200), 1),
        }

    def _within_limit(self, capacity: float) -> Figures:
        """The highest rate at which 99 of 100 are answered in good time, and all are."""
        figures: Figures = {"p99_limit_ms": self.terms.p99_ms, "rate_within_limit": 0.0, "late_p99_ms": 0.0}
        for share in SHARES:
            load = self._open(share * capacity, self.seconds)
            figures["late_p99_ms"] = round(load.lateness_ms(0.99), 1)
            if load.count(200) == len(load.answers) and load.percentile_ms(0.99, 200) <= self.terms.p99_ms:
                return {**figures, "rate_within_limit": round(share * capacity, 1)}
        return figures

    def _overloaded(self, capacity: float) -> Figures:
        load = self._open(2 * capacity, self.seconds)
        shed = {status: count for status, count in load.statuses().items() if status != 200}
        return {
            "overload_goodput_share": round(load.goodput / capacity, 2),
            "overload_in_time_share": round(self._in_time(load) / capacity, 2),
            "overload_ok_p99_ms": round(load.percentile_ms(0.99, 200)),
            "overload_shed": " ".join(f"{status}:{count}" for status, count in sorted(shed.items())),
            "overload_shed_p50_ms": round(load.percentile_ms(0.5, *shed), 1),
            "overload_shed_p99_ms": round(load.percentile_ms(0.99, *shed), 1),
        }

    def _in_time(self, load: Load) -> float:
        """Answers a second that came within twice the limit: later ones are of no use to who asked."""
        good = [a for a in load.answers if a.status == 200 and 1e3 * a.latency_s <= 2 * self.terms.p99_ms]
        return len(good) / load.seconds

    def _ended(self) -> Figures:
        """Told to end while requests are open: how many were, and how many were answered all the same."""

        async def burst_and_end() -> tuple[tuple[int | None, float, int], float, Load]:
            start = time.perf_counter() + START_S
            load = asyncio.create_task(self._generator().open(BURST / BURST_S, BURST_S))
            await asyncio.sleep(START_S + 2 * BURST_S)
            told = time.perf_counter() - start
            return await asyncio.to_thread(self.family.end), told, await load

        (code, seconds, left), told, load = asyncio.run(burst_and_end())
        open_then = [answer for answer in load.answers if _sent(answer) + BURST_S <= told < answer.end_s]
        return {
            "term_open": len(open_then),
            "term_answered": sum(answer.status == 200 for answer in open_then),
            "term_exit_code": "stays" if code is None else code,
            "term_s": round(seconds, 1),
            "term_processes_left": left,
        }


def _sent(answer: Answer) -> float:
    return answer.end_s - answer.latency_s + answer.late_s
