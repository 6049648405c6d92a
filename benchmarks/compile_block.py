"""What the compiler makes of the block's linear layers for an H100 (sm_90), which needs no such device.

    python -m benchmarks.compile_block [--minutes 8]

Every configuration that tuning may choose, for the layers of network T at 224, in bfloat16. Rows are appended to
results/block_assembly.csv as they come, and the next call goes on. registers: of a thread, 255 at most. stack: bytes
that were spilled. shared: bytes of a program. products: tensor-core instructions, of all `instructions`. Static counts
say nothing of stalls.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import triton

from benchmarks.recording import machine
from benchmarks.resuming import run_remaining
from kernels.triton_linear import linear_configs
from models.block import EXPANSION
from models.config import VARIANTS
from tests.kernels.assembly import counts, linear

RESULTS_FILE = "block_assembly.csv"


@dataclass(frozen=True)
class Layer:
    expands: bool
    positions: int
    channels: int
    outputs: int

    def __str__(self) -> str:
        return f"{'expand' if self.expands else 'project'} {self.positions}x{self.channels}->{self.outputs} bfloat16"


def layers() -> Iterator[Layer]:
    for stage, dim in enumerate(VARIANTS["t"].dims):
        positions, hidden = (56 >> stage) ** 2, EXPANSION * dim
        yield Layer(True, positions, dim, hidden)
        yield Layer(False, positions, hidden, dim)


def measure(layer: Layer) -> list[dict[str, Any]]:
    x = torch.empty(1, layer.positions, layer.channels, device="meta")
    configs = linear_configs(x, torch.empty(layer.outputs, layer.channels, device="meta"))
    shape = (layer.expands, layer.positions, layer.channels, layer.outputs)
    return [row(config, counts(linear(*shape, choice))) for choice, config in enumerate(configs)]


def row(config: dict[str, int], found: dict[str, Any]) -> dict[str, Any]:
    instructions = found["instructions"]
    return {
        "config": " ".join(f"{name} {value}" for name, value in config.items()),
        "registers": found["registers"],
        "stack": sum(found["stack"]),
        "shared": found["shared"],
        "products": instructions["HGMMA"] + instructions["HMMA"],
        "instructions": instructions.total(),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=8.0)
    arguments = parser.parse_args()
    about = {**machine("cpu"), "device": "compiled for sm_90", "versions": f"triton {triton.__version__}"}
    run_remaining(RESULTS_FILE, about, layers(), measure, arguments.minutes)


if __name__ == "__main__":
    main()
