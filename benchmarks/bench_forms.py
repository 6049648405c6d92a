"""What re-parameterization gains in inference, and what plane matrices gain in training, as ratios in one run.

    python -m benchmarks.bench_forms [--device cuda]

Candidates take turns, and the median counts. Rows are appended to benchmarks/results/forms.csv.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from benchmarks.recording import append_rows, machine
from kernels.dispatch import forced_backend
from models.config import variant
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet

ROUNDS = 9
Step = Callable[[], None]


def forward(model: nn.Module, x: Tensor) -> Step:
    model.eval()

    def step() -> None:
        with torch.inference_mode():
            model(x)

    return step


def training_step(model: nn.Module, x: Tensor, backend: str | None) -> Step:
    """Forward and backward, with the backend that the table chooses, or this one throughout."""
    model.train()

    def step() -> None:
        with forced_backend(backend) if backend else nullcontext():
            model(x)[-1].mean().backward()

    return step


def median_ms(steps: dict[str, Step], device: str) -> dict[str, float]:
    """Candidates in turn, so that a change of the machine's speed meets them all."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if device == "cuda":
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - started)
    return {name: 1e3 * statistics.median(values[1:]) for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--variants", default="a,t")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.variants.split(","):
        model = UniRepLKNet(variant(name)).to(arguments.device)
        x = torch.randn(1, 3, 224, 224, device=arguments.device)
        small = torch.randn(16, 3, 96, 96, device=arguments.device)
        inference = {"training form": forward(model, x), "deploy form": forward(reparameterize(model), x)}
        training = {
            "library": training_step(model, small, "library"),
            "plane matrices": training_step(model, small, None),
        }
        for case, steps in (("inference, 1 x 224", inference), ("training, 16 x 96", training)):
            if steps is training and arguments.device == "cuda":
                continue
            medians = median_ms(steps, arguments.device)
            baseline = next(iter(medians.values()))
            rows += [
                {"variant": name, "case": case, "form": form, "ms": round(ms, 1), "speedup": round(baseline / ms, 2)}
                for form, ms in medians.items()
            ]
    about = {**machine(arguments.device), "threads": torch.get_num_threads()}
    append_rows("forms.csv", [{**about, **row} for row in rows])


if __name__ == "__main__":
    main()
