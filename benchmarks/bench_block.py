"""The block of inference: each of its steps fused by itself, all of them, what tuning chose, and torch.compile.

    python -m benchmarks.bench_block [--device cuda] [--minutes 2]

Blocks of the published networks at 224, in bfloat16. Outputs are compared with the ground truth before anything is
timed, and what is wrong gets no time; each candidate takes turns with the plain modules, and medians count. Rows are
appended to results/block.csv as they come, and the next call goes on. `ratio` is the time of the plain modules over the
candidate's; `roofline` the share of it that is reached: of moving 26 bytes per element of the input, or of the
operations. `note`: why there is no time. On a CPU there is one small block, to try the script.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.bench_depthwise_conv2d import ERRORS
from benchmarks.clock import Run, kernel_clock
from benchmarks.comparison import Measured, Trial, compare_remaining
from benchmarks.compiling import compiled
from benchmarks.deadline import Deadline
from benchmarks.device_setup import set_up
from benchmarks.map_problem import MapProblem
from benchmarks.network_floor import block as block_work
from benchmarks.peaks import Peaks, peaks_of, share
from benchmarks.recording import RESULTS, machine
from benchmarks.table import Row, Table
from kernels.dispatch import triton_runs
from kernels.fusions import forced_fusions
from kernels.reference import reference_block
from kernels.steps import STEPS
from models.block import FusedBlock, UniRepLKNetBlock
from models.config import VARIANTS
from models.reparam import reparameterize
from models.tuning import tuned_kernels

RESULTS_FILE = "block.csv"
BLOCK_STEPS = tuple(name for name in STEPS if name != "norm")
PLAIN, LIBRARY, TUNED = "plain modules, contiguous", "library steps", "as tuned"
FUSED = {"all fused": BLOCK_STEPS, **{f"{name} fused": (name,) for name in BLOCK_STEPS}}
COMPILED = "torch.compile"
TUNING_S = 30


class Problem(MapProblem):
    def floor_ms(self, peaks: Peaks) -> float:
        return block_work(self.n, self.channels, self.size, self.side).ms(peaks, self.dtype)


def problems(device: str) -> Iterator[Problem]:
    """Those that are served most come first, should the time not be enough for all."""
    if device == "cpu":
        yield Problem(2, 16, 9, 13, torch.float32)
        return
    for name in ("t", "a", "s"):
        config = VARIANTS[name]
        for n in (128, 1, 16):
            for stage, (dim, sizes) in enumerate(zip(config.dims, config.kernel_sizes, strict=True)):
                yield from (Problem(n, dim, 56 >> stage, size, torch.bfloat16) for size in sorted(set(sizes)))


def candidates(device: str) -> list[str]:
    """What takes longest to prepare comes last."""
    if device != "cuda":
        return [PLAIN, LIBRARY]
    fused = [TUNED, *FUSED] if triton_runs() else []
    return [PLAIN, LIBRARY, *fused, COMPILED]


def block_of(problem: Problem, device: str) -> FusedBlock:
    """In deploy form, with a response norm that has an effect, which a new one has not."""
    training = UniRepLKNetBlock(problem.channels, problem.size, layer_scale_init=1.0)
    nn.init.uniform_(training.grn.gamma, 0.5, 1.0)
    fused: nn.Module = reparameterize(training)
    assert isinstance(fused, FusedBlock)
    return fused.to(device, problem.dtype)


class Blocks:
    """The first and the last sample are compared with the ground truth."""

    def __init__(self, problem: Problem, device: str) -> None:
        torch.manual_seed(0)
        self.block = block_of(problem, device)
        shape = (problem.n, problem.channels, problem.side, problem.side)
        self.contiguous = torch.randn(shape, device=device).to(problem.dtype)
        self.x = self.contiguous.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            self.expected = reference_block(self.x[[0, -1]], self.block.weights())
        self.tolerance = ERRORS[problem.dtype]

    def prepare(self, candidate: str) -> Run:
        if candidate == PLAIN:
            return inferred(self.block, self.contiguous)
        if candidate == TUNED:
            self._tune()
            return inferred(self.block, self.x)
        if candidate == COMPILED:
            return inferred(compiled(self.block), self.x)
        return inferred(partial(fused, FUSED.get(candidate, ()), self.block), self.x)

    @torch.inference_mode()
    def _tune(self) -> None:
        """As a server does at its warm-up."""
        with tuned_kernels(self.x.device, TUNING_S):
            self.block(self.x)

    def error(self, output: Tensor) -> float:
        return ((output[[0, -1]].double() - self.expected).abs().max() / self.expected.abs().max()).item()


def inferred(forward: Callable[[Tensor], Tensor], x: Tensor) -> Run:
    def run() -> Tensor:
        with torch.inference_mode():
            return forward(x)

    return run


def fused(names: Sequence[str], block: FusedBlock, x: Tensor) -> Tensor:
    with forced_fusions(names):
        out: Tensor = block(x)
        return out


def columns(floor_ms: float | None, measured: Measured) -> Row:
    return {
        "ms": f"{measured.time.ms:.4f}",
        "ratio": measured.ratio(),
        "roofline": share(floor_ms, measured.time.ms),
        "error": f"{measured.error:.1e}",
    }


def trials(device: str) -> Iterator[Trial]:
    peaks = peaks_of(device)
    for problem in dict.fromkeys(problems(device)):
        yield Trial(
            case={"problem": str(problem)},
            candidates=candidates(device),
            set_up=partial(Blocks, problem, device),
            clock=kernel_clock(device),
            columns=partial(columns, problem.floor_ms(peaks) if peaks else None),
            seconds=0.2,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--minutes", type=float, default=2.0)
    given = parser.parse_args()
    set_up(given.device)
    table = Table(RESULTS / RESULTS_FILE, machine(given.device))
    compare_remaining(table, trials(given.device), Deadline(given.minutes))


if __name__ == "__main__":
    main()
