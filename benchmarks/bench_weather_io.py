"""What a weather request costs beside the forward pass: 48 hours of 3,850 stations in, 24 hours out.

    python -m benchmarks.bench_weather_io

Milliseconds of CPU with the memory settings of the server's processes, in one thread. Parsing the same body by orjson
alone is the baseline of the same run. Rows are appended to benchmarks/results/weather_io.csv.
"""

import io
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.recording import append_rows, machine
from preprocessors.histories.weather_options import WeatherOptions
from preprocessors.weather import WeatherPreprocessor
from service.answers import npy_bytes
from service.decoding import KEPT
from service.engine.fork_server import OPENMP_ENVIRONMENT, malloc_environment
from service.json_answer import to_json

STATIONS, HOURS, AHEAD, ROUNDS = 3850, 48, 24, 60
START = "2026-11-20T00:00:00Z"
Case = Callable[[], object]


def network(rng: np.random.Generator) -> WeatherPreprocessor:
    latitude, longitude, elevation = (
        tuple(rng.uniform(low, high, STATIONS).round(4)) for low, high in ((-80, 80), (-180, 180), (0, 2000))
    )
    names = tuple(f"{i:05d}" for i in range(STATIONS))
    return WeatherPreprocessor(stations=names, latitude=latitude, longitude=longitude, elevation=elevation)


def npy(array: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def cases() -> dict[str, Case]:
    rng = np.random.default_rng(0)
    preprocessor = network(rng)
    series = (15 + rng.normal(0, 8, (HOURS, STATIONS))).clip(-60, 50).round(1)
    facts = {"variable": "temperature", "units": "degC", "start_time": START, "stations": preprocessor.stations}
    body = orjson.dumps({**facts, "series": series.tolist()})
    bare, options, told = npy(series.astype(np.float32)), WeatherOptions(), WeatherOptions(start_time=START)
    asked = preprocessor.decode(body, options).context
    slots = [rng.normal(15, 8, (STATIONS, AHEAD)).astype(np.float32)]
    return {
        "orjson.loads": lambda: orjson.loads(body),
        "json read": lambda: preprocessor.decode(body, options),
        "json write": lambda: to_json({"forecast": asked.answer(slots), "stations": asked.stations}),
        "npy read": lambda: preprocessor.decode(bare, told),
        "npy write": lambda: npy_bytes(asked.answer(slots)),
    }


def milliseconds(case: Case) -> list[float]:
    """Of CPU, sorted. A case by itself, as one kind of request follows another in a server."""
    found = []
    for _ in range(ROUNDS):
        started = time.process_time()
        case()
        found.append(1e3 * (time.process_time() - started))
    return sorted(found)


def main() -> None:
    found = {name: milliseconds(case) for name, case in cases().items()}
    base = statistics.median(found["orjson.loads"])
    rows = []
    for name, times in found.items():
        median = statistics.median(times)
        figures = {"best_ms": round(times[0], 2), "median_ms": round(median, 2), "ratio": round(median / base, 2)}
        rows.append({**machine("cpu"), "case": name, **figures})
    append_rows("weather_io.csv", rows)


if __name__ == "__main__":
    environment = {**malloc_environment(KEPT), **OPENMP_ENVIRONMENT, "OMP_NUM_THREADS": "1"}
    if any(os.environ.get(name) != value for name, value in environment.items()):  # read when a process starts
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.bench_weather_io"], {**os.environ, **environment})
    main()
