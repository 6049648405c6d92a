"""A whole network, launched kernel by kernel against replayed from a captured graph: what a batch of one waits for.

    python -m benchmarks.bench_capture [--device cuda] [--minutes 2]

Networks in deploy form at 224 in bfloat16, with kernels as tuning chose them, all steps fused, none, and compiled.
Times are those of the host from the call to the result's arrival, since launching is what a graph saves; each candidate
takes turns with the plain network, and medians count. Maps are compared with the plain network's in float32 before
anything is timed, and what is wrong gets no time. Rows are appended to results/capture.csv as they come, and the next
call goes on. `ratio` is the time of the plain network over the candidate's. `note`: why there is no time. On a CPU
there is one small network, to try the script.
"""

import argparse
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.clock import Clock, Run, Time
from benchmarks.comparison import Measured, Trial, compare_remaining
from benchmarks.compiling import compiled
from benchmarks.deadline import Deadline
from benchmarks.device_setup import set_up
from benchmarks.recording import RESULTS, machine
from benchmarks.table import Row, Table
from kernels.dispatch import triton_runs
from kernels.fusions import forced_fusions
from kernels.steps import STEPS
from models.config import BackboneConfig, default_kernel_sizes, variant
from models.reparam import reparameterize
from models.tuning import tuned_kernels
from models.unireplknet import UniRepLKNet
from service.engine.device import Device, engine_device

RESULTS_FILE = "capture.csv"
LARGEST_ERROR = 0.1  # of the largest number of the last map: bfloat16, through up to 36 blocks
PLAIN = "library steps"
KINDS: dict[str, Collection[str] | None] = {PLAIN: (), "as tuned": None, "all fused": tuple(STEPS)}
CAPTURED, COMPILED = ", captured", "torch.compile, "
MODES = ("default", "reduce-overhead")
SMALL = (1, 1, 1, 1)
TUNING_S = 60


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


def candidates(captures: bool) -> list[str]:
    """What takes longest to prepare comes last."""
    if not captures:
        return [PLAIN]
    kinds = KINDS if triton_runs() else [PLAIN]
    return [*(name + suffix for name in kinds for suffix in ("", CAPTURED)), *(COMPILED + mode for mode in MODES)]


class Networks:
    tolerance = LARGEST_ERROR

    def __init__(self, problem: Problem, device: Device, kind: torch.device) -> None:
        torch.manual_seed(0)
        self.device, self.kind = device, kind
        network = reparameterize(UniRepLKNet(problem.config())).to(kind)
        x = torch.randn(problem.batch, 3, problem.side, problem.side, device=kind)
        with forced_fusions(()), torch.inference_mode():
            self.expected = network(x[:1])[-1]
        if device.captures:
            network, x = network.bfloat16(), x.bfloat16()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.x = x.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def prepare(self, candidate: str) -> Run:
        if candidate.startswith(COMPILED):
            return self._compiled(candidate.removeprefix(COMPILED))
        fusions = KINDS[candidate.removesuffix(CAPTURED)]
        if fusions is None:
            with tuned_kernels(self.kind, TUNING_S):
                self.network(self.x)
        run = inferred(partial(self._forward, fusions))
        return replayed(run, self.device) if candidate.endswith(CAPTURED) else run

    def _forward(self, fusions: Collection[str] | None) -> Tensor:
        with nullcontext() if fusions is None else forced_fusions(fusions):
            last: Tensor = self.network(self.x)[-1]
            return last

    def _compiled(self, mode: str) -> Run:
        network = compiled(self.network, mode)

        def forward() -> Tensor:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            last: Tensor = network(self.x)[-1]
            return last

        return inferred(forward)

    def error(self, output: Tensor) -> float:
        return ((output[:1].float() - self.expected).abs().max() / self.expected.abs().max()).item()


def inferred(forward: Callable[[], Tensor]) -> Run:
    def run() -> Tensor:
        with torch.inference_mode():
            return forward()

    return run


def replayed(run: Run, device: Device) -> Run:
    captured = device.capture(lambda: {"map": run()})

    def replay() -> Tensor:
        captured.replay()
        return captured.outputs["map"]

    return replay


def arrival_clock(device: Device) -> Clock:
    def clock(run: Run) -> Time:
        started = time.perf_counter()
        device.download({"corner": run()[:, :1, :1, :1]})
        return Time(1e3 * (time.perf_counter() - started))

    return clock


def columns(batch: int, measured: Measured) -> Row:
    ms = measured.time.ms
    return {
        "ms": f"{ms:.3f}",
        "images_per_s": round(1e3 * batch / ms),
        "ratio": measured.ratio(),
        "error": f"{measured.error:.1e}",
    }


def trials(kind: torch.device) -> Iterator[Trial]:
    device = engine_device(kind)
    for problem in problems(kind.type):
        yield Trial(
            case={"problem": str(problem)},
            candidates=candidates(device.captures),
            set_up=partial(Networks, problem, device, kind),
            clock=arrival_clock(device),
            columns=partial(columns, problem.batch),
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--minutes", type=float, default=2.0)
    given = parser.parse_args()
    set_up(given.device)
    table = Table(RESULTS / RESULTS_FILE, machine(given.device))
    compare_remaining(table, trials(torch.device(given.device)), Deadline(given.minutes))


if __name__ == "__main__":
    main()
