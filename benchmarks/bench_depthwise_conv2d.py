"""The depthwise convolution by every backend, against the library in both layouts and against the roofline.

    python -m benchmarks.bench_depthwise_conv2d [--device cuda] [--minutes 8] [--tune 60]

Problems on a GPU: the grid of the paper's Table 1, (64, 384, R, R) with R of 16, 32, 64 and K of 3, 5, ..., 31, and
every depthwise layer of the published networks at 224 and 384, at batches of 1, 8 and 128. On a CPU: the grid with one
sample, and the layers of A, T and S at 224, at batches of 1 and 8. Outputs are compared with the ground truth before
anything is timed; each candidate takes turns with the library's contiguous path, and medians count. Rows are appended
to results/depthwise_conv2d.csv as they come, and the next call goes on. `over_library`: the time of the library's
contiguous path over the candidate's; `ratio`: that of its faster layout. `roofline`: the share of it that is reached:
of moving the map in and out, or multiplying by the taps that meet it, on tensor cores for halves. Empty where the
device's peaks are not known. `note`: why there is no time.
"""

import argparse
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor

from benchmarks.clock import Run, kernel_clock
from benchmarks.comparison import Measured, Trial, compare_remaining
from benchmarks.deadline import Deadline
from benchmarks.device_setup import set_up
from benchmarks.map_problem import MapProblem
from benchmarks.peaks import Peaks, peaks_of, share
from benchmarks.recording import RESULTS, machine
from benchmarks.table import Row, Table
from kernels import depthwise_conv2d
from kernels.backends import BACKENDS
from kernels.dispatch import FLOATS, RULES, forced_backend, triton_runs
from kernels.reference import reference_depthwise_conv2d
from models.config import VARIANTS

RESULTS_FILE = "depthwise_conv2d.csv"
ERRORS = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
LARGEST_DENSE_PLANE = 144
SECONDS = 0.2
LAST, CONTIGUOUS = torch.channels_last, torch.contiguous_format
LAYOUTS = {"contiguous": CONTIGUOUS, "channels last": LAST}
LIBRARY = {f"library, {name}": ("library", layout) for name, layout in LAYOUTS.items()}
TENSOR_CORES = ("toeplitz", "channels_last")  # alone in half precision
CANDIDATES: dict[str, tuple[str | None, torch.memory_format]] = {  # name -> (backend, layout)
    **LIBRARY,
    **{f"chosen, {name}": (None, layout) for name, layout in LAYOUTS.items()},  # by the table of dispatch
    **{  # what that table knows for CUDA
        f"{rule.backend}, {name}": (rule.backend, layout)
        for rule in RULES
        for name, layout in LAYOUTS.items()
        if rule.device != "cpu" and rule.layout in (None, layout)
    },
}
SIZES = (31, 13, 21, 7, 17, 27, 9, 3, 5, 11, 15, 19, 23, 25, 29)
SERVED_FIRST = ("t", "a", "s", "n", "f", "p", "b", "l", "xl", "h")


class Problem(MapProblem):
    def floor_ms(self, peaks: Peaks) -> float:
        """Map in and out once, or the taps that meet the map."""
        reach = self.size // 2
        taps = sum(min(i + reach, self.side - 1) - max(i - reach, 0) + 1 for i in range(self.side)) / self.side
        return peaks.ms(2 * self.elements * self.dtype.itemsize, 2 * self.elements * taps**2, self.dtype)


def problems(device: str) -> Iterator[Problem]:
    """Those of the networks that are served most come first, should the time not be enough for all."""
    if device == "cpu":
        yield from networks(("a", "t", "s"), (1, 8), (224,), torch.float32)
        yield from grid(1, torch.float32)
        return
    yield from networks(("t",), (128, 1), (224,), torch.bfloat16)
    yield from (Problem(64, 384, side, size, torch.bfloat16) for size in SIZES[:2] for side in (64, 32, 16))
    yield from networks(SERVED_FIRST[:3], (128, 1, 8), (224,), torch.bfloat16)
    yield from grid(64, torch.bfloat16)
    yield from networks(SERVED_FIRST, (128, 1, 8), (224, 384), torch.bfloat16)
    yield from grid(64, torch.float32)
    yield from networks(SERVED_FIRST, (128, 1, 8), (224, 384), torch.float32)


def grid(n: int, dtype: torch.dtype) -> Iterator[Problem]:
    yield from (Problem(n, 384, side, size, dtype) for side in (32, 16, 64) for size in SIZES)


def networks(
    names: tuple[str, ...], batches: tuple[int, ...], resolutions: tuple[int, ...], dtype: torch.dtype
) -> Iterator[Problem]:
    """Each distinct depthwise layer."""
    for name in names:
        config = VARIANTS[name]
        for n in batches:
            for resolution in resolutions:
                for stage, (dim, sizes) in enumerate(zip(config.dims, config.kernel_sizes, strict=True)):
                    side = resolution // 2 ** (stage + 2)
                    yield from (Problem(n, dim, side, size, dtype) for size in sorted(set(sizes)))


def candidates(problem: Problem, device: str) -> Iterator[str]:
    for name, (backend, _) in CANDIDATES.items():
        needs_triton = backend is not None and BACKENDS[backend].triton
        if needs_triton and not (device == "cuda" and triton_runs() and problem.dtype in FLOATS):
            continue
        if backend == "dense" and problem.side**2 > LARGEST_DENSE_PLANE:
            continue
        if backend not in TENSOR_CORES or problem.dtype.itemsize == 2:
            yield name


class Convolutions:
    """The first and the last sample are compared with the ground truth; on a CPU, which takes a minute for the largest
    maps, every eighth of their channels."""

    def __init__(self, problem: Problem, device: str) -> None:
        torch.manual_seed(0)
        self.samples = sorted({0, problem.n - 1})
        self.channels = slice(None) if device == "cuda" else slice(None, None, 8)
        self.x = torch.randn(problem.n, problem.channels, problem.side, problem.side, device=device).to(problem.dtype)
        self.weight = torch.randn(problem.channels, 1, problem.size, problem.size, device=device).to(problem.dtype)
        checked, weight = self.checked(self.x), self.weight[self.channels]
        self.expected = reference_depthwise_conv2d(checked, weight, dtype=torch.float64)
        self.tolerance = ERRORS[problem.dtype]

    def checked(self, maps: Tensor) -> Tensor:
        return maps[self.samples][:, self.channels]

    def prepare(self, candidate: str) -> Run:
        backend, layout = CANDIDATES[candidate]
        return convolution(self.x.contiguous(memory_format=layout), self.weight, backend)

    def error(self, output: Tensor) -> float:
        return ((self.checked(output).double() - self.expected).abs().max() / self.expected.abs().max()).item()


def convolution(x: Tensor, weight: Tensor, backend: str | None) -> Run:
    def call() -> Tensor:
        with forced_backend(backend) if backend else nullcontext(), torch.inference_mode():
            return depthwise_conv2d(x, weight)

    return call


def columns(floor_ms: float | None, measured: Measured) -> Row:
    return {
        "ms": f"{measured.time.ms:.4f}",
        "over_library": measured.ratio(),
        "ratio": "",
        "roofline": share(floor_ms, measured.time.ms),
        "error": f"{measured.error:.1e}",
        "others_cpu": f"{measured.others_cpu:.2f}",
    }


def against_the_faster_library(rows: list[Row]) -> None:
    """Through the ratios to the contiguous one, which took its turns with each."""
    library = [float(row["over_library"]) for row in rows if row["candidate"] in LIBRARY and row.get("over_library")]
    for row in rows:
        if library and row.get("over_library"):
            row["ratio"] = f"{float(row['over_library']) / max(library):.2f}"


def trials(device: str) -> Iterator[Trial]:
    peaks = peaks_of(device)
    for problem in dict.fromkeys(problems(device)):
        yield Trial(
            case={"problem": str(problem)},
            candidates=list(candidates(problem, device)),
            set_up=partial(Convolutions, problem, device),
            clock=kernel_clock(device),
            columns=partial(columns, problem.floor_ms(peaks) if peaks else None),
            seconds=SECONDS,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--tune", type=float, default=0.0, help="seconds of measuring launch configurations first")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    set_up(given.device)
    about = {**machine(given.device), "threads": given.threads}
    table = Table(RESULTS / RESULTS_FILE, about, against_the_faster_library)
    if given.tune:
        from kernels.tuning import tuned
    with tuned(seconds=given.tune) if given.tune else nullcontext():
        compare_remaining(table, trials(given.device), Deadline(given.minutes))


if __name__ == "__main__":
    main()
