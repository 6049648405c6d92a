"""A whole network, launched kernel by kernel against replayed from a captured graph: what a batch of one waits for.

    python -m benchmarks.bench_capture [--device cuda] [--minutes 2]

Networks in deploy form at 224 in bfloat16, with kernels as tuning chose them, all steps fused, none, and compiled.
Times are those of the host from the call to the result's arrival, since launching is what a graph saves; candidates
take turns, and medians count. Maps are compared with the plain network's in float32 before anything is timed, and what
is wrong gets no time. Rows are appended to results/capture.csv as they come, and the next call goes on. `ratio` is the
time of the plain network over the candidate's. On a CPU there is one small network, to try the script.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.recording import machine
from benchmarks.resuming import run_remaining
from kernels.dispatch import triton_runs
from kernels.fusions import forced_fusions
from kernels.steps import STEPS
from models.config import BackboneConfig, default_kernel_sizes, variant
from models.reparam import reparameterize
from models.tuning import tuned_kernels
from models.unireplknet import UniRepLKNet
from service.engine.device import Device, engine_device

RESULTS_FILE = "capture.csv"
ROUNDS, WARM_UP = 21, 3
LARGEST_ERROR = 0.1  # of the largest number of the last map: bfloat16, through up to 36 blocks
PLAIN = "library steps"
SMALL = (1, 1, 1, 1)
Forward = Callable[[], Tensor]


@dataclass(frozen=True)
class Problem:
    variant: str
    batch: int
    side: int = 224

    def __str__(self) -> str:
        return f"{self.variant} {self.batch}x{self.side}"

    def config(self) -> BackboneConfig:
        if self.variant != "small":
            return variant(self.variant, layer_scale_init=0.1)
        return BackboneConfig(SMALL, (8, 16, 24, 32), default_kernel_sizes(SMALL))


def problems(device: str) -> Iterator[Problem]:
    if device == "cpu":
        yield Problem("small", 2, 32)
        return
    for batch in (1, 16, 128):
        yield from (Problem(name, batch) for name in ("t", "a", "s"))


def candidates(network: UniRepLKNet, x: Tensor, device: Device) -> Iterator[tuple[str, Forward]]:
    def forward(fusions: Collection[str] | None) -> Tensor:
        with nullcontext() if fusions is None else forced_fusions(fusions):
            return network(x)[-1]

    kinds = {PLAIN: partial(forward, ())}
    if device.captures and triton_runs():
        kinds |= {"all fused": partial(forward, tuple(STEPS)), "as tuned": partial(forward, None)}
    for name, run in kinds.items():
        yield name, run
        if device.captures:
            yield f"{name}, captured", replayed(run, device)
    if device.captures:
        for mode in ("default", "reduce-overhead"):
            compiled = torch.compile(network, mode=mode, dynamic=False)
            yield f"torch.compile, {mode}", lambda compiled=compiled: compiled(x)[-1]  # type: ignore[misc]


def replayed(run: Forward, device: Device) -> Forward:
    captured = device.capture(lambda: {"map": run()})

    def replay() -> Tensor:
        captured.replay()
        return captured.outputs["map"]

    return replay


@torch.inference_mode()
def measure(problem: Problem, device: Device, kind: torch.device) -> list[dict[str, Any]]:
    torch.manual_seed(0)
    network = reparameterize(UniRepLKNet(problem.config())).to(kind)
    x = torch.randn(problem.batch, 3, problem.side, problem.side, device=kind)
    with forced_fusions(()):
        expected = network(x[:1])[-1]
    if device.captures:
        network, x = network.bfloat16(), x.bfloat16()
    network, x = network.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with tuned_kernels(kind, seconds=60):
        network(x)
    runs = dict(candidates(network, x, device))
    most = LARGEST_ERROR * expected.abs().max().item()
    right = {name: run for name, run in runs.items() if (run()[:1].float() - expected).abs().max().item() < most}
    times = median_ms(right, device)
    found = {name: times.get(name, float("inf")) for name in runs}
    return [
        {"candidate": name, "ms": f"{ms:.3f}", "images_per_s": round(1e3 * problem.batch / ms), "ratio": f"{best:.2f}"}
        for name, ms, best in ((name, ms, times[PLAIN] / ms) for name, ms in found.items())
    ]


def median_ms(runs: dict[str, Forward], device: Device) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(WARM_UP + ROUNDS):
        for name, run in runs.items():
            started = time.perf_counter()
            device.download({"corner": run()[:, :1, :1, :1]})
            times[name].append(1e3 * (time.perf_counter() - started))
    return {name: statistics.median(values[WARM_UP:]) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--minutes", type=float, default=2.0)
    arguments = parser.parse_args()
    kind = torch.device(arguments.device)
    measured = partial(measure, device=engine_device(kind), kind=kind)
    run_remaining(RESULTS_FILE, machine(arguments.device), problems(arguments.device), measured, arguments.minutes)


if __name__ == "__main__":
    main()
