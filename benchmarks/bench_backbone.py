"""The forward pass of deployed networks: as it is served, against the same network by other means.

    python -m benchmarks.bench_backbone [--variants a,t,s,clothing10] [--batches 1,8] [--device cuda]

Every candidate must first give the logits of float64; one that does not has no row. Then they take turns, and the
median counts. Rows are appended to benchmarks/results/backbone.csv, a network and batch at a time; those that are there
already, from the same machine and versions, are not measured again. `others_cpu`: cores that other programs kept busy
meanwhile; above 0.1 the milliseconds are too large, and the ratios uncertain. `waiting`: passive, as in an engine,
whose environment all candidates have: torch's threads sleep while they wait for one another. With
OMP_WAIT_POLICY=ACTIVE and GOMP_SPINCOUNT=300000 they spin, as they do by default.
"""

import argparse
import csv
import importlib.metadata
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.busyness import Busyness
from benchmarks.candidates import EAGER, OURS, Run, candidates
from benchmarks.plain_network import PlainClassifier
from benchmarks.recording import RESULTS, append_rows, machine
from models.checkpoint import Checkpoint
from models.config import VARIANTS, variant
from models.heads.classification import ClassificationHead
from models.perception import PerceptionModel
from models.precision import Precision
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet
from service.engine.nursery import engine_environment

FILE = "backbone.csv"
SIDE = 224
CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"
TOLERANCES = {Precision.FLOAT32: 1e-5, Precision.BFLOAT16: 5e-2}
FEWEST_ROUNDS, MOST_ROUNDS = 5, 101
Row = dict[str, Any]


def network(name: str) -> PerceptionModel:
    """A published size with random weights, or a checkpoint that comes with the project; in deploy form."""
    if name in VARIANTS:
        config = variant(name)
        model = PerceptionModel(UniRepLKNet(config), ClassificationHead(config.dims[-1], ["?"] * 1000))
        return reparameterize(randomized(model)).eval()
    checkpoint = Checkpoint.load(CHECKPOINTS / f"{name}.safetensors")
    return reparameterize(checkpoint.build(ClassificationHead))


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


@torch.inference_mode()
def correct(runs: dict[str, Run], reference: Tensor, tolerance: float) -> dict[str, float]:
    """Error of each, over the largest logit; those beyond the tolerance are told of and left out."""
    errors = {}
    for name, run in runs.items():
        error = ((run()[:1].cpu().double() - reference).abs().max() / reference.abs().max()).item()
        if error <= tolerance:
            errors[name] = error
        else:
            sys.stdout.write(f"{name}: WRONG by {error:.1e}, not measured\n")
    return errors


class Time(NamedTuple):
    """ms: by the clock. cpu_ms: of all threads of this process, which other programs disturb less."""

    ms: float
    cpu_ms: float


@torch.inference_mode()
def timed(run: Run, device: str) -> Time:
    started, used = time.perf_counter(), time.process_time()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return Time(1e3 * (time.perf_counter() - started), 1e3 * (time.process_time() - used))


def medians(runs: dict[str, Run], device: str, budget_s: float) -> dict[str, Time]:
    """In turns, so that a change of the machine's speed meets them all."""
    once_s = 1e-3 * sum(timed(run, device).ms for run in runs.values())
    taken: dict[str, list[Time]] = {name: [] for name in runs}
    for _ in range(max(FEWEST_ROUNDS, min(MOST_ROUNDS, int(budget_s / once_s)))):
        for name, run in runs.items():
            taken[name].append(timed(run, device))
    return {name: Time(*map(statistics.median, zip(*times, strict=True))) for name, times in taken.items()}


def measured(name: str, batch: int, precision: Precision, device: str, budget_s: float) -> list[Row]:
    model = network(name).to(device)
    x = torch.randn(batch, model.backbone.config.in_chans, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        reference = PlainClassifier(network(name)).double()(x[:1].double())
    x = x.to(device)
    runs = {EAGER: candidates(device, Precision.FLOAT32)[EAGER](model, x, Precision.FLOAT32)}
    others = {key: prepare(model, x, precision) for key, prepare in candidates(device, precision).items()}
    runs |= others if precision is Precision.FLOAT32 else {f"{key}, {precision}": run for key, run in others.items()}
    errors = correct(runs, reference, TOLERANCES[precision])
    with Busyness() as busyness:
        times = medians({key: runs[key] for key in errors}, device, budget_s)
    best = min(taken.ms for key, taken in times.items() if not key.startswith(tuple(OURS)))
    case = {"variant": name, "batch": batch, "precision": str(precision)}
    return [
        {
            **case,
            "candidate": key,
            "ms": round(taken.ms, 2),
            "cpu_ms": round(taken.cpu_ms, 2),
            "over_eager": round(times[EAGER].ms / taken.ms, 2),
            "over_best_alternative": round(best / taken.ms, 2),
            "error": f"{errors[key]:.1e}",
            "others_cpu": round(busyness.others, 2),
        }
        for key, taken in times.items()
    ]


def precisions(device: str) -> list[Precision]:
    """bfloat16 only where the processor computes in it."""
    has = device == "cuda" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return [Precision.FLOAT32, *([Precision.BFLOAT16] if has else [])]


def versions() -> str:
    found = []
    for package in ("openvino", "onnxruntime"):
        try:
            found.append(f", {package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return "".join(found)


def known(about: Row, case: Row) -> bool:
    """Whether it was measured on this machine, with these versions and threads."""
    path = RESULTS / FILE
    wanted = {key: str(value) for key, value in {**about, **case}.items() if key != "date"}
    if not path.exists():
        return False
    with path.open(newline="") as file:
        return any(wanted.items() <= row.items() for row in csv.DictReader(file))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--variants", default="a,t,s,clothing10,camera-motion")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=30.0, help="of timing for every network and batch")
    return parser.parse_args()


def start_as_engines_do() -> None:
    """This program anew where it has not their environment: libraries read it as they are loaded."""
    environment = engine_environment()
    if not environment.keys() <= os.environ.keys():
        again = [sys.executable, "-m", "benchmarks.bench_backbone", *sys.argv[1:]]
        os.execve(sys.executable, again, {**environment, **os.environ})


def main() -> None:
    start_as_engines_do()
    given = arguments()
    torch.set_num_threads(given.threads)
    about: Row = {**machine(given.device), "threads": given.threads, "waiting": os.environ["OMP_WAIT_POLICY"].lower()}
    about["versions"] += versions()
    for name in given.variants.split(","):
        for batch in map(int, given.batches.split(",")):
            for precision in precisions(given.device):
                if not known(about, {"variant": name, "batch": batch, "precision": str(precision)}):
                    rows = measured(name, batch, precision, given.device, given.seconds)
                    append_rows(FILE, [{**about, **row} for row in rows])


if __name__ == "__main__":
    main()
