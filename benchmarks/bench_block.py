"""The block of inference: each of its steps fused by itself, all of them, what tuning chose, and torch.compile.

    python -m benchmarks.bench_block [--device cuda] [--minutes 2]

Blocks of the published networks at 224, in bfloat16. Outputs are compared with the ground truth before anything is
timed, and what is wrong gets no time; candidates take turns, and medians count. Rows are appended to results/block.csv
as they come, and the next call goes on. `ratio` is the time of the plain modules over the candidate's; `traffic` is the
time that 26 bytes per element of the input take at the bandwidth of an H100 (3.35 TB/s), over the candidate's. On a CPU
there is one small block, to try the script.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.bench_depthwise_conv2d import BYTES_PER_SECOND, ERRORS, median_ms
from benchmarks.map_problem import MapProblem
from benchmarks.recording import machine
from benchmarks.resuming import run_remaining
from kernels.dispatch import triton_runs
from kernels.fusions import forced_fusions
from kernels.reference import reference_block
from kernels.steps import STEPS
from models.block import FusedBlock, UniRepLKNetBlock
from models.config import VARIANTS
from models.reparam import reparameterize

RESULTS_FILE = "block.csv"
FUSED_BYTES = 26
BLOCK_STEPS = tuple(name for name in STEPS if name != "norm")
PLAIN = "plain modules, contiguous"


class Problem(MapProblem):
    @property
    def traffic_ms(self) -> float:
        return 1e3 * FUSED_BYTES * self.elements / BYTES_PER_SECOND


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


def block_of(problem: Problem, device: str) -> FusedBlock:
    """In deploy form, with a response norm that has an effect, which a new one has not."""
    training = UniRepLKNetBlock(problem.channels, problem.size, layer_scale_init=1.0)
    nn.init.uniform_(training.grn.gamma, 0.5, 1.0)
    fused: nn.Module = reparameterize(training)
    assert isinstance(fused, FusedBlock)
    return fused.to(device, problem.dtype)


def candidates(block: FusedBlock, device: str) -> dict[str, Callable[[Tensor], Tensor]]:
    found: dict[str, Callable[[Tensor], Tensor]] = {
        PLAIN: block,
        "library steps": partial(fused, (), block),
    }
    if device == "cuda" and triton_runs():
        for names in (*((name,) for name in BLOCK_STEPS), BLOCK_STEPS):
            label = f"{names[0]} fused" if len(names) == 1 else "all fused"
            found[label] = partial(fused, names, block)
        found["as tuned"] = block
        found["torch.compile"] = torch.compile(block, dynamic=False)
    return found


def fused(names: Sequence[str], block: FusedBlock, x: Tensor) -> Tensor:
    with forced_fusions(names):
        out: Tensor = block(x)
        return out


@torch.inference_mode()
def measure(problem: Problem, device: str) -> list[dict[str, Any]]:
    torch.manual_seed(0)
    block = block_of(problem, device)
    contiguous = torch.randn(problem.n, problem.channels, problem.side, problem.side, device=device).to(problem.dtype)
    x = contiguous.contiguous(memory_format=torch.channels_last)
    tune(block, x)
    expected = reference_block(x[[0, -1]], block.weights())
    runs = candidates(block, device)
    calls: dict[str, Callable[[], Tensor]] = {
        name: partial(run, contiguous if name == PLAIN else x) for name, run in runs.items()
    }
    most = ERRORS[problem.dtype] * expected.abs().max().item()
    right = {
        name: call for name, call in calls.items() if (call()[[0, -1]].double() - expected).abs().max().item() < most
    }
    times = median_ms(right, device)
    return [
        {
            "candidate": name,
            "ms": f"{ms:.4f}",
            "ratio": f"{times[PLAIN] / ms:.2f}",
            "traffic": f"{problem.traffic_ms / ms:.2f}" if device == "cuda" else "",
        }
        for name, ms in ((name, times.get(name, float("nan"))) for name in calls)
    ]


def tune(block: FusedBlock, x: Tensor) -> None:
    """As a server does at its warm-up."""
    if x.is_cuda and triton_runs():
        from kernels.tuning import tuned

        with tuned():
            block(x)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--minutes", type=float, default=2.0)
    arguments = parser.parse_args()
    device = arguments.device
    run_remaining(
        RESULTS_FILE, machine(device), problems(device), lambda each: measure(each, device), arguments.minutes
    )


if __name__ == "__main__":
    main()
