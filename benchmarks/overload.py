"""What a server does with more than it can do: goodput and the latency of refusals at 2 and 10 times its capacity.

    python -m benchmarks.overload [seconds of each load]

The model computes nothing and takes 50 ms for a sample, so the device is the bottleneck, as it should be, and the
machine need not be fast. Capacity is what closed-loop clients get; the loads are open-loop. Rows are appended to
benchmarks/results/overload.csv.
"""

import asyncio
import os
import sys

import psutil

from benchmarks.recording import append_rows, machine
from benchmarks.running_server import running
from service.bench.open_loop import Generator, Load
from service.bench.shot import Address, Shot

PORT = 8766
BODY = os.urandom(100_000)
SAMPLE_S = 0.05
CLIENTS = 16
SETTINGS = {
    "PORT": str(PORT),
    "MAX_BATCH_SIZE": "4",
    "MAX_QUEUE_WAIT_S": "1",
    "LOG_LEVEL": "warning",
}
FACTORS = (0.7, 2, 10, 0.7)


def row(name: str, load: Load, capacity: float, cpu_s: float) -> dict[str, object]:
    return {
        "case": name,
        "offered_per_s": round(load.rate, 1),
        "goodput_share": round(load.goodput / min(capacity, load.rate), 3),
        "ok_p50_ms": round(load.percentile_ms(0.5, 200)),
        "ok_p99_ms": round(load.percentile_ms(0.99, 200)),
        "shed": load.count(429),
        "shed_p50_ms": round(load.percentile_ms(0.5, 429), 1),
        "shed_p99_ms": round(load.percentile_ms(0.99, 429), 1),
        "without_retry_after": sum(answer.status == 429 and not answer.retry_after for answer in load.answers),
        "others": len(load.answers) - load.count(200, 429),
        "server_cpu_share": round(cpu_s / load.seconds, 2),
        "generator_late_p99_ms": round(load.lateness_ms(0.99), 1),
    }


async def measure(process: psutil.Process, seconds: float) -> list[dict[str, object]]:
    generator = Generator(Address("127.0.0.1", PORT), [Shot("/classify/image", BODY)])
    await generator.closed(CLIENTS, seconds / 4)
    rows = []
    closed = await generator.closed(CLIENTS, seconds)
    for factor in FACTORS:
        before = sum(process.cpu_times()[:2])
        load = await generator.open(factor * closed.rate, seconds)
        rows.append(row(f"{factor} x capacity", load, closed.rate, sum(process.cpu_times()[:2]) - before))
    return rows


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    with running("benchmarks.slow_server", ["0", str(SAMPLE_S)], PORT, SETTINGS) as process:
        rows = asyncio.run(measure(process, seconds))
    append_rows("overload.csv", [{**machine("cpu"), **row} for row in rows])


if __name__ == "__main__":
    main()
