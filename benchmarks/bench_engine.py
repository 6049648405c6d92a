"""What it costs to run a batch in the engine's process in place of a thread: one image, and a batch of sixteen.

    python -m benchmarks.bench_engine [runs]

Both engines take turns. The null model answers at once, so its rows show the way there and back alone; the embedded
image model puts that in proportion. CPU time is that of both processes together; on a busy machine trust it and the
first decile, since the median is then the time that the others took. Rows go to benchmarks/results/engine.csv.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil

from benchmarks.null_model import LABELS, without_network
from benchmarks.recording import append_rows, machine
from models.heads.classification import ClassificationHead
from models.postprocessors.base import Row
from preprocessors.base import Array
from preprocessors.image import ImagePreprocessor
from service.engine.base import Engine, Load, Loaded
from service.engine.local import LocalEngine
from service.engine.process import ProcessEngine
from service.pipeline import Pipeline, load_pipelines
from service.settings import Settings

SIZE = 224
BATCHES = (1, 16)
WARM_UP = 50
PATH = "classify/image"


class CollatingPipeline(Pipeline):
    """Collates as every model must, and answers without a forward pass."""

    def run(self, views: Sequence[Array]) -> list[Row]:
        batch = self.preprocessor.collate(views)
        return [{"logits": np.zeros(len(LABELS), np.float32), "embedding": np.zeros(512, np.float32)} for _ in batch]


def load_null(settings: Settings) -> Mapping[str, Pipeline]:
    preprocessor, head = ImagePreprocessor(size=SIZE), ClassificationHead(8, LABELS)
    return {"null": without_network(CollatingPipeline, "null", PATH, preprocessor, head)}


@dataclass
class Candidate:
    """pid: of the engine's process, where it has one of its own."""

    engine: Engine
    seconds: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    def cpu_now(self) -> float:
        pid = getattr(self.engine, "pid", None)
        return time.process_time() + (sum(psutil.Process(pid).cpu_times()[:2]) if pid else 0.0)

    async def measure(self, model: str, views: Sequence[Array], runs: int) -> None:
        before = self.cpu_now()
        for _ in range(runs):
            began = time.perf_counter()
            await self.engine.run(model, views)
            self.seconds.append(time.perf_counter() - began)
        self.cpu_s += self.cpu_now() - before

    @property
    def median_ms(self) -> float:
        return 1e3 * statistics.median(self.seconds)

    @property
    def first_decile_ms(self) -> float:
        return 1e3 * statistics.quantiles(self.seconds, n=10)[0]

    @property
    def cpu_ms(self) -> float:
        return 1e3 * self.cpu_s / len(self.seconds)


async def compare(name: str, load: Load, settings: Settings, runs: int) -> list[dict[str, Any]]:
    thread, process = LocalEngine(settings, load=load), ProcessEngine(settings, load=load)
    _, loaded = await asyncio.gather(thread.start(), process.start())
    rows = [await compare_batch(name, loaded, (thread, process), count, runs) for count in BATCHES]
    await asyncio.gather(thread.close(), process.close())
    return rows


async def compare_batch(
    name: str, loaded: Loaded, engines: tuple[Engine, Engine], count: int, runs: int
) -> dict[str, Any]:
    model = next(info for info in loaded.models.values() if info.path == PATH)
    shape = (count, *model.preprocessor.blank().shape)
    views = list(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    thread, process = (Candidate(engine) for engine in engines)
    for candidate in (thread, process):
        await candidate.measure(model.name, views, WARM_UP)
        candidate.seconds, candidate.cpu_s = [], 0.0
    turns = 10
    for _ in range(turns):
        for candidate in (thread, process):
            await candidate.measure(model.name, views, max(1, runs // turns))
    return {
        "model": name,
        "batch": count,
        "runs": len(thread.seconds),
        "thread_ms": round(thread.median_ms, 3),
        "process_ms": round(process.median_ms, 3),
        "ratio": round(process.median_ms / thread.median_ms, 2),
        "overhead_ms": round(process.median_ms - thread.median_ms, 3),
        "first_decile_overhead_ms": round(process.first_decile_ms - thread.first_decile_ms, 3),
        "thread_cpu_ms": round(thread.cpu_ms, 3),
        "process_cpu_ms": round(process.cpu_ms, 3),
    }


async def main() -> None:
    from benchmarks.bench_engine import load_null  # under the name by which the engine's process can import it

    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    settings = Settings(device="cpu", threads=1)
    rows = await compare("null", load_null, settings, runs)
    rows += await compare("embedded image model", load_pipelines, settings, max(10, runs // 10))
    append_rows("engine.csv", [{**machine("cpu"), **row} for row in rows])


if __name__ == "__main__":
    asyncio.run(main())
