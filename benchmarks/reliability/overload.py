"""R2: more than a server can do, by the benchmark of that name."""

import asyncio
import math
from typing import Any

from benchmarks.overload import PORT, SAMPLE_S, SETTINGS, measure
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.running_server import running

SECONDS = 20.0
SHED_MS, DEADLINE_MS = 50, 1400  # of predicted wait, and two batches that were under way


def overload(conditions: Conditions) -> list[Finding]:
    with running("benchmarks.slow_server", ["0", str(SAMPLE_S)], PORT, SETTINGS) as process:
        before, *overloaded, after = asyncio.run(measure(process, conditions.seconds(SECONDS)))
    findings = [finding for row in overloaded for finding in _of(row)]
    recovered = _number(after, "ok_p50_ms") / _number(before, "ok_p50_ms")
    return [*findings, Finding("p50 after the overload / before it", recovered, at_most=1.2)]


def _of(row: dict[str, Any]) -> list[Finding]:
    case = row["case"]
    return [
        Finding(f"{case}: goodput / capacity", _number(row, "goodput_share"), at_least=0.95),
        Finding(f"{case}: p99 of answers, ms", _number(row, "ok_p99_ms"), at_most=DEADLINE_MS),
        Finding(f"{case}: p99 of refusals, ms", _number(row, "shed_p99_ms"), at_most=SHED_MS),
        exactly(f"{case}: refusals without Retry-After", _number(row, "without_retry_after")),
        exactly(f"{case}: answers other than 200 and 429", _number(row, "others")),
        Finding(f"{case}: lateness of the generator, p99, ms", _number(row, "generator_late_p99_ms")),
    ]


def _number(row: dict[str, Any], name: str) -> float:
    return float(row.get(name, math.nan))
