"""What those who are served notice while another model is loaded, warmed up and unloaded beside theirs.

Batches of one, one after the other, on an engine in its own process: times while nothing else happens, and while a
network of the given variant, in training form, comes and goes; and the engine's memory before and after.
"""

import argparse
import asyncio
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.recording import append_rows, machine
from models.checkpoint import Checkpoint
from models.config import variant
from models.description import ModelCard, Structure
from models.heads.classification import ClassificationHead
from models.perception import PerceptionModel
from models.unireplknet import UniRepLKNet
from preprocessors.image import ImagePreprocessor
from service.engine.base import EngineOptions
from service.engine.process import ProcessEngine
from service.settings import EMBEDDED_CHECKPOINTS, Settings

SERVED = EMBEDDED_CHECKPOINTS / "clothing10.safetensors"
QUIET_S = 10.0
HEARTBEAT_S = 0.2


@dataclass
class Meter:
    """Asks without a pause. times: seconds of the answers in the current phase."""

    engine: ProcessEngine
    times: list[float] = field(default_factory=list)

    async def ask(self) -> None:
        model = next(iter(self.engine.loaded.models.values()))
        blank = model.preprocessor.blank()
        while True:
            began = time.perf_counter()
            await self.engine.run(model.key, [blank])
            self.times.append(time.perf_counter() - began)

    def phase(self) -> list[float]:
        times, self.times = self.times, []
        return times


def write_checkpoint(name: str, path: Path) -> Path:
    config = variant(name)
    head = {"num_features": config.dims[-1], "labels": [f"class {i}" for i in range(1000)]}
    model = PerceptionModel(UniRepLKNet(config), ClassificationHead(**head))  # type: ignore[arg-type]
    options = (asdict(ImagePreprocessor()), asdict(config), head)
    Checkpoint("classify/image", *options, Structure.TRAINING, ModelCard(name), model.state_dict()).save(path)
    return path


async def measure(name: str, file: Path, max_batch_size: int, cycles: int) -> dict[str, object]:
    settings = Settings(checkpoints=(SERVED,), device="cpu", max_batch_size=max_batch_size)
    engine = ProcessEngine(settings, options=EngineOptions(heartbeat_s=HEARTBEAT_S))
    await engine.start()
    meter = Meter(engine)
    asking = asyncio.create_task(meter.ask())
    await asyncio.sleep(QUIET_S)
    quiet, loading, seconds, resident = meter.phase(), [], [], []
    for cycle in range(cycles):
        began = time.perf_counter()
        await engine.load(f"{name}#{cycle}", str(file))
        seconds.append(time.perf_counter() - began)
        loading += meter.phase()
        await engine.unload(f"{name}#{cycle}")
        await asyncio.sleep(3 * HEARTBEAT_S)
        resident.append(engine.memory["resident"] / 1e6)
        meter.phase()
    asking.cancel()
    await asyncio.wait([asking])
    await engine.close()
    return {
        "variant": name,
        "max_batch_size": max_batch_size,
        "load_s": round(float(np.median(seconds)), 2),
        **told("quiet", quiet),
        **told("loading", loading),
        "resident_mb_after_first": round(resident[0]),
        "resident_mb_after_last": round(resident[-1]),
        "cycles": cycles,
    }


def told(phase: str, times: list[float]) -> dict[str, float]:
    median, p99, longest = (round(1e3 * float(np.quantile(times, q)), 1) for q in (0.5, 0.99, 1.0))
    return {f"{phase}_p50_ms": median, f"{phase}_p99_ms": p99, f"{phase}_longest_ms": longest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="t")
    parser.add_argument("--max-batch-size", type=int, default=1)
    parser.add_argument("--cycles", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = write_checkpoint(given.variant, Path(folder) / "model.safetensors")
        row = asyncio.run(measure(given.variant, file, given.max_batch_size, given.cycles))
    append_rows("reload.csv", [{**machine("cpu"), **row}])


if __name__ == "__main__":
    main()
