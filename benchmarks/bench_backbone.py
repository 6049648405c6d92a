"""The forward pass of deployed networks: as it is served, against the same network by other means.

    python -m benchmarks.bench_backbone [--device cuda] [--variants a,t,s,clothing10] [--batches 1,8] [--minutes 8]

Every candidate must first give the logits of float64; one that does not has no time. Then each takes turns with eager
torch in float32, and the median counts. On a GPU ours is replayed from a captured graph with the kernels that tuning
chose, and the others are eager torch and torch.compile with max-autotune, each in both layouts. float32 is float32
there, without TF32; cuDNN measures its algorithms, for all of them alike; and the cache is cold.
Rows are appended to benchmarks/results/backbone.csv as they come; those that are there already, from the same machine
and versions, are not measured again. `over_best_alternative`: the ratio to the fastest that is not ours, in the same
precision or float32. `roofline`: the share of that of the case's precision, see `network_floor`. `note`: why there is
no time. `others_cpu`: cores that other programs kept busy meanwhile; above 0.1 on a CPU the milliseconds are too
large, and the ratios uncertain. `waiting`: on a CPU passive, as in an engine, whose environment all candidates have:
torch's threads sleep while they wait for one another. With OMP_WAIT_POLICY=ACTIVE and GOMP_SPINCOUNT=300000 they spin,
as they do by default.
"""

import argparse
import copy
import math
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.candidates import EAGER, candidates, ours, slow
from benchmarks.clock import Run, network_clock
from benchmarks.comparison import Measured, Trial, compare_remaining
from benchmarks.deadline import Deadline
from benchmarks.device_setup import set_up
from benchmarks.network_floor import floor_ms
from benchmarks.peaks import peaks_of, share
from benchmarks.plain_network import PlainClassifier
from benchmarks.recording import RESULTS, machine
from benchmarks.table import Row, Table
from models.checkpoint import Checkpoint
from models.config import VARIANTS, BackboneConfig, variant
from models.heads.classification import ClassificationHead
from models.perception import PerceptionModel
from models.precision import Precision
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet

FILE = "backbone.csv"
SIDE = 224
CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"
TOLERANCES = {Precision.FLOAT32: 1e-5, Precision.BFLOAT16: 5e-2}
FIRST = 3  # the batches of one network
COMPILING_S = 120
PACKAGES = {"cpu": ("openvino", "onnxruntime"), "cuda": ()}  # of candidates
DEFAULTS = {"cpu": ("a,t,s,clothing10,camera-motion", "1,8"), "cuda": ("t,a,s,n,f,p,b,l,xl", "128,1,8")}


class Case(NamedTuple):
    variant: str
    batch: int
    precision: Precision

    def names(self, device: str) -> list[str]:
        """Of candidates, the baseline first: eager torch in float32, which bfloat16 is compared with too."""
        named = [labelled(name, self.precision) for name in candidates(device, self.precision)]
        return named if EAGER in named else [EAGER, *named]


def labelled(name: str, precision: Precision) -> str:
    return name if precision is Precision.FLOAT32 else f"{name}, {precision}"


@lru_cache(maxsize=1)
def network(name: str) -> PerceptionModel:
    """A published size with random weights, or a checkpoint that comes with the project; in deploy form. Not to be
    changed: to draw the largest takes long."""
    if name in VARIANTS:
        config = variant(name)
        model = PerceptionModel(UniRepLKNet(config), ClassificationHead(config.dims[-1], ["?"] * 1000))
        return reparameterize(randomized(model)).eval()
    checkpoint = Checkpoint.load(CHECKPOINTS / f"{name}.safetensors")
    return reparameterize(checkpoint.build(ClassificationHead))


@lru_cache
def config_of(name: str) -> BackboneConfig:
    return VARIANTS[name] if name in VARIANTS else network(name).backbone.config


@torch.no_grad()
def randomized(model: PerceptionModel) -> PerceptionModel:
    """Weights with which every layer matters: fresh blocks are scaled by a millionth."""
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=parameter[0].numel() ** -0.5)
        else:
            parameter.fill_(0.15).add_(torch.rand_like(parameter), alpha=0.1 if name.endswith("gamma") else 0.5)
    return model


class Networks:
    """The first image's logits are compared with those of float64, computed on the CPU."""

    def __init__(self, case: Case, device: str) -> None:
        model = network(case.variant)
        shape = (case.batch, model.backbone.config.in_chans, SIDE, SIDE)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            self.expected = PlainClassifier(copy.deepcopy(model)).double()(x[:1].double())
        self.model, self.x = copy.deepcopy(model).to(device), x.to(device)
        self.case, self.device = case, device
        self.tolerance = TOLERANCES[case.precision]

    def prepare(self, candidate: str) -> Run:
        precision = Precision.FLOAT32 if candidate == EAGER else self.case.precision
        name = EAGER if candidate == EAGER else candidate.removesuffix(f", {precision}")
        run = candidates(self.device, precision)[name](self.model, self.x, precision)

        def inferred() -> Tensor:
            with torch.inference_mode():
                return run()

        return inferred

    def error(self, output: Tensor) -> float:
        return ((output[:1].cpu().double() - self.expected).abs().max() / self.expected.abs().max()).item()


def columns(floor: float | None, measured: Measured) -> Row:
    cpu_ms = measured.time.cpu_ms
    return {
        "ms": f"{measured.time.ms:.3f}",
        "cpu_ms": "" if math.isnan(cpu_ms) else f"{cpu_ms:.2f}",
        "over_eager": measured.ratio(),
        "over_best_alternative": "",
        "error": f"{measured.error:.1e}",
        "others_cpu": f"{measured.others_cpu:.2f}",
        "roofline": share(floor, measured.time.ms),
    }


def against_the_best_alternative(rows: list[Row]) -> None:
    """Through the ratios to eager torch, which took its turns with each."""
    ratios = {row["candidate"]: float(row["over_eager"]) for row in rows if row.get("over_eager")}
    best = max((ratio for name, ratio in ratios.items() if not ours(name)), default=None)
    for row in rows:
        if best and row["candidate"] in ratios:
            row["over_best_alternative"] = f"{ratios[row['candidate']] / best:.2f}"


def precisions(device: str) -> list[Precision]:
    """The faster first; bfloat16 only where the processor computes in it."""
    has = device == "cuda" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return [*([Precision.BFLOAT16] if has else []), Precision.FLOAT32]


def cases(variants: Iterable[str], batches: Iterable[int], device: str) -> list[Case]:
    found = [Case(name, batch, precision) for name in variants for precision in precisions(device) for batch in batches]
    return sorted(found, key=lambda case: case.precision is Precision.FLOAT32) if device == "cuda" else found


def trials(cases: list[Case], device: str, seconds: float) -> Iterator[Trial]:
    """What is prepared fast, then the rest, should the time not be enough for all; of the first cases both."""
    for some in (cases[:FIRST], cases[FIRST:]):
        for case in some:
            yield trial(case, [name for name in case.names(device) if not slow(name)], device, seconds)
        for case in some:
            if any(map(slow, case.names(device))):
                whole = trial(case, case.names(device), device, seconds)
                yield replace(whole, needs_s=COMPILING_S)


def trial(case: Case, names: list[str], device: str, seconds: float) -> Trial:
    peaks = peaks_of(device)
    floor = floor_ms(config_of(case.variant), case.batch, SIDE, case.precision.dtype, peaks) if peaks else None
    set_up = partial(Networks, case, device)
    return Trial(case._asdict(), names, set_up, network_clock(device), partial(columns, floor), seconds)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--variants")
    parser.add_argument("--batches")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, help="of timing for every candidate: 4, or on a GPU 1")
    parser.add_argument("--minutes", type=float, default=60.0)
    return parser.parse_args()


def start_as_engines_do() -> None:
    """This program anew where it has not their environment: libraries read it as they are loaded."""
    from service.engine.fork_server import engine_environment  # not to be had on a machine for GPU runs alone

    environment = engine_environment()
    if not environment.keys() <= os.environ.keys():
        again = [sys.executable, "-m", "benchmarks.bench_backbone", *sys.argv[1:]]
        os.execve(sys.executable, again, {**environment, **os.environ})


def main() -> None:
    given = arguments()
    if given.device == "cpu":
        start_as_engines_do()
    torch.set_num_threads(given.threads)
    set_up(given.device)
    about = {**machine(given.device, PACKAGES[given.device]), "threads": given.threads}
    about["waiting"] = os.environ.get("OMP_WAIT_POLICY", "").lower()
    variants, batches = DEFAULTS[given.device]
    wanted = cases(
        (given.variants or variants).split(","), map(int, (given.batches or batches).split(",")), given.device
    )
    seconds = given.seconds or (1.0 if given.device == "cuda" else 4.0)
    table = Table(RESULTS / FILE, about, against_the_best_alternative)
    compare_remaining(table, trials(wanted, given.device, seconds), Deadline(given.minutes))


if __name__ == "__main__":
    main()
