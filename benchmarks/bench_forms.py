"""What re-parameterization gains in inference, and what plane matrices gain in training, as ratios in one run.

    python -m benchmarks.bench_forms [--device cuda]

Each candidate must first agree with its baseline, takes turns with it, and medians count. Rows are appended to
benchmarks/results/forms.csv, and the next call goes on.
"""

import argparse
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.clock import Run, network_clock
from benchmarks.comparison import Measured, Trial, compare_remaining
from benchmarks.deadline import Deadline
from benchmarks.device_setup import set_up
from benchmarks.recording import RESULTS, machine
from benchmarks.table import Row, Table
from kernels.dispatch import forced_backend
from models.config import variant
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet

INFERENCE, TRAINING = "inference, 1 x 224", "training, 16 x 96"
TRAINING_FORM, DEPLOY_FORM = "training form", "deploy form"
LIBRARY, PLANES = "library", "plane matrices"


class Forms:
    """A network that infers in either form."""

    tolerance = 1e-4

    def __init__(self, name: str, device: str) -> None:
        torch.manual_seed(0)
        self.model = UniRepLKNet(variant(name)).to(device).eval()
        self.x = torch.randn(1, 3, 224, 224, device=device)
        self.expected = forward(self.model, self.x)()

    def prepare(self, candidate: str) -> Run:
        return forward(self.model if candidate == TRAINING_FORM else reparameterize(self.model), self.x)

    def error(self, output: Tensor) -> float:
        return relative_error(output, self.expected)


class Steps:
    """A network that learns: forward and backward, by the library, or by the backends that the table chooses."""

    tolerance = 1e-3

    def __init__(self, name: str, device: str) -> None:
        torch.manual_seed(0)
        self.model = UniRepLKNet(variant(name)).to(device).train()
        self.x = torch.randn(16, 3, 96, 96, device=device)
        self.expected = self.prepare(LIBRARY)()

    def prepare(self, candidate: str) -> Run:
        def step() -> Tensor:
            """The gradient that comes last."""
            first = next(self.model.parameters())
            self.model.zero_grad()
            if candidate == LIBRARY:
                with forced_backend(LIBRARY):
                    self.model(self.x)[-1].mean().backward()
            else:
                self.model(self.x)[-1].mean().backward()
            assert first.grad is not None
            return first.grad

        return step

    def error(self, output: Tensor) -> float:
        return relative_error(output, self.expected)


def forward(model: nn.Module, x: Tensor) -> Run:
    def run() -> Tensor:
        with torch.inference_mode():
            last: Tensor = model(x)[-1]
            return last

    return run


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).abs().max() / expected.abs().max()).item()


def columns(measured: Measured) -> Row:
    return {"ms": f"{measured.time.ms:.1f}", "ratio": measured.ratio()}


def trials(names: list[str], device: str) -> Iterator[Trial]:
    trial = partial(Trial, clock=network_clock(device), columns=columns, seconds=5.0)
    for name in names:
        case = {"variant": name, "case": INFERENCE}
        yield trial(case, (TRAINING_FORM, DEPLOY_FORM), partial(Forms, name, device))
        if device == "cpu":
            yield trial({**case, "case": TRAINING}, (LIBRARY, PLANES), partial(Steps, name, device))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--variants", default="a,t")
    parser.add_argument("--minutes", type=float, default=5.0)
    given = parser.parse_args()
    set_up(given.device)
    about = {**machine(given.device), "threads": torch.get_num_threads()}
    compare_remaining(
        Table(RESULTS / "forms.csv", about), trials(given.variants.split(","), given.device), Deadline(given.minutes)
    )


if __name__ == "__main__":
    main()
