"""What a load came to: one record for each kind of request, in numbers that a program may keep."""

import math
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from service.bench.open_loop import TRUSTED_LATENESS_MS, Load

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)
ALL = "all"


def report(url: str, loads: Sequence[Load]) -> dict[str, Any]:
    """Loads of one server, in the order they were sent. Latencies are milliseconds from the intended time."""
    return {
        "server": url,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "client": {"unireplknet-service": version("unireplknet-service"), "python": platform.python_version()},
        "loads": [load_record(load) for load in loads],
    }


def load_record(load: Load) -> dict[str, Any]:
    """trusted: whether the generator kept its time, so that the figures are the server's."""
    lateness = load.lateness_ms(0.99)
    parts = {ALL: load, **{kind: load.of(kind) for kind in load.kinds if len(load.kinds) > 1}}
    return {
        "rate": load.rate,
        "seconds": load.seconds,
        "generator_late_p99_ms": round(lateness, 3),
        "trusted": lateness <= TRUSTED_LATENESS_MS,
        "kinds": {kind: kind_record(part) for kind, part in parts.items()},
    }


def kind_record(load: Load) -> dict[str, Any]:
    """latency_ms: of the answers with status 200, null where there are none. statuses: 0 counts those without any."""
    latencies = {f"p{q:g}": _known(load.percentile_ms(q / 100, 200)) for q in PERCENTILES}
    return {
        "sent": len(load.answers),
        "goodput_per_s": round(load.goodput, 2),
        "statuses": {str(status): count for status, count in load.statuses().items()},
        "latency_ms": latencies,
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 2)
