"""The depthwise convolution by every backend, against the library in both layouts and against the roofline.

    python -m benchmarks.bench_depthwise_conv2d [--device cuda] [--minutes 8]

Problems: the grid of the paper's Table 1, (64, 384, R, R) with R of 16, 32, 64 and K of 3, 5, ..., 31, and every
depthwise layer of the published networks at 224 and 384, at batches of 1, 8 and 128. Outputs are compared with the
ground truth before anything is timed; candidates take turns, and medians count. Rows are appended to
results/depthwise_conv2d.csv as they come, and a problem that has rows is not run again: when the time is up, the next
call goes on. `ratio` is the time of the faster library layout over the candidate's; `roofline` is the candidate's time
over the bound of an H100, left empty on a CPU (memory, or float32 multiplications where tensor cores are not used).
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import torch
from torch import Tensor

from benchmarks.map_problem import MapProblem
from benchmarks.recording import machine
from benchmarks.resuming import run_remaining
from kernels import depthwise_conv2d
from kernels.backends import BACKENDS
from kernels.dispatch import FLOATS, RULES, forced_backend, triton_runs
from kernels.reference import reference_depthwise_conv2d
from kernels.timing import device_ms
from models.config import VARIANTS

RESULTS_FILE = "depthwise_conv2d.csv"
BYTES_PER_SECOND, MULTIPLY_ADDS_PER_SECOND = 3.35e12, 67e12 / 2  # of an H100
ERRORS = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
LARGEST_DENSE_PLANE = 144
TENSOR_CORES = ("toeplitz", "channels_last")  # alone in half precision
ROUNDS, WARM_UP = 9, 2
LAST, CONTIGUOUS = torch.channels_last, torch.contiguous_format
LAYOUTS = {"contiguous": CONTIGUOUS, "channels last": LAST}
CANDIDATES = {  # name -> (backend, layout): what the table knows for CUDA
    f"{rule.backend}, {name}": (rule.backend, layout)
    for rule in RULES
    for name, layout in LAYOUTS.items()
    if rule.device != "cpu" and rule.layout in (None, layout)
}


class Problem(MapProblem):
    def roofline_ms(self) -> float:
        """Map in and out once, or the taps that meet the map."""
        reach = self.size // 2
        taps = sum(min(i + reach, self.side - 1) - max(i - reach, 0) + 1 for i in range(self.side)) / self.side
        multiply_adds = 0.0 if self.dtype.itemsize == 2 else self.elements * taps**2 / MULTIPLY_ADDS_PER_SECOND
        return 1e3 * max(2 * self.elements * self.dtype.itemsize / BYTES_PER_SECOND, multiply_adds)


def problems(device: str) -> Iterator[Problem]:
    """Those of the networks that are served most come first, should the time not be enough for all."""
    if device == "cpu":
        yield from (Problem(1, 384, 16, size, torch.float32) for size in (3, 13, 31))
        return
    dtypes = (torch.bfloat16, torch.float32)
    yield from (Problem(64, 384, side, size, torch.bfloat16) for side in (32, 16, 64) for size in range(31, 2, -2))
    for name in ("t", "a", "s", "n", "f", "p", "b", "l", "xl", "h"):
        yield from (Problem(*layer, dtype) for dtype in dtypes for layer in layers(name))
    yield from (Problem(64, 384, side, size, torch.float32) for side in (32, 16, 64) for size in range(31, 2, -2))


def layers(name: str) -> Iterator[tuple[int, int, int, int]]:
    """(N, C, side, K) of each distinct depthwise layer of a published network."""
    config = VARIANTS[name]
    for n in (128, 1, 8):
        for resolution in (224, 384):
            for stage, (dim, sizes) in enumerate(zip(config.dims, config.kernel_sizes, strict=True)):
                yield from ((n, dim, resolution // 2 ** (stage + 2), size) for size in sorted(set(sizes)))


def candidates(problem: Problem, device: str) -> Iterator[str]:
    for name, (backend, _) in CANDIDATES.items():
        if (BACKENDS[backend].triton and not (device == "cuda" and triton_runs() and problem.dtype in FLOATS)) or (
            backend == "dense" and problem.side**2 > LARGEST_DENSE_PLANE
        ):
            continue
        if backend not in TENSOR_CORES or problem.dtype.itemsize == 2:
            yield name


def measure(problem: Problem, device: str) -> dict[str, float]:
    """Milliseconds of each candidate, all of them checked on the first and last sample; NaN for one that is wrong."""
    torch.manual_seed(0)
    x = torch.randn(problem.n, problem.channels, problem.side, problem.side, device=device).to(problem.dtype)
    weight = torch.randn(problem.channels, 1, problem.size, problem.size, device=device).to(problem.dtype)
    expected = reference_depthwise_conv2d(x[[0, -1]], weight, dtype=torch.float64)
    calls = {}
    for name in candidates(problem, device):
        backend, layout = CANDIDATES[name]
        calls[name] = convolution(x.contiguous(memory_format=layout), weight, backend)
    errors = {name: (call()[[0, -1]].double() - expected).abs().max().item() for name, call in calls.items()}
    right = {name: error < ERRORS[problem.dtype] * expected.abs().max().item() for name, error in errors.items()}
    times = median_ms({name: call for name, call in calls.items() if right[name]}, device)
    return {name: times.get(name, float("nan")) for name in calls}


def convolution(x: Tensor, weight: Tensor, backend: str) -> Callable[[], Tensor]:
    def call() -> Tensor:
        with forced_backend(backend), torch.inference_mode():
            return depthwise_conv2d(x, weight)

    return call


def median_ms(calls: dict[str, Callable[[], Tensor]], device: str) -> dict[str, float]:
    clock = device_ms if device == "cuda" else wall_ms
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(WARM_UP + ROUNDS):
        for name, call in calls.items():
            times[name].append(clock(call))
    return {name: statistics.median(values[WARM_UP:]) for name, values in times.items()}


def wall_ms(call: Callable[[], Tensor]) -> float:
    started = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - started)


def rows(problem: Problem, times: dict[str, float], device: str) -> list[dict[str, object]]:
    library = min(times[name] for name in times if name.startswith("library"))
    return [
        {
            "candidate": name,
            "ms": f"{ms:.4f}",
            "ratio": f"{library / ms:.2f}",
            "roofline": f"{ms / problem.roofline_ms():.2f}" if device == "cuda" else "",
        }
        for name, ms in times.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--tune", action="store_true", help="measure launch configurations first, and keep the best")
    arguments = parser.parse_args()
    device = arguments.device
    if arguments.tune:
        from kernels.tuning import tuned
    with tuned() if arguments.tune else nullcontext():
        run_remaining(
            RESULTS_FILE,
            machine(device),
            problems(device),
            lambda problem: rows(problem, measure(problem, device), device),
            arguments.minutes,
        )


if __name__ == "__main__":
    main()
