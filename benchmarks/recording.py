"""Where measurements are kept: rows of CSV that say on what they were measured, and when."""

import csv
import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(os.environ.get("BENCHMARK_RESULTS") or Path(__file__).resolve().parent / "results")


def machine(device: str, packages: Collection[str] = ()) -> dict[str, str]:
    """Date, device and versions: those of these packages too, where they are installed, and on a GPU of all that
    computes there. Its driver stands apart, for machines of one kind need not have the same."""
    versions = [f"python {platform.python_version()}", f"torch {torch.__version__}", *_installed(packages)]
    about = {"date": datetime.date.today().isoformat(), "device": _processor(), "versions": ", ".join(versions)}
    if device == "cuda":
        about["device"] = torch.cuda.get_device_name()
        about["versions"] = ", ".join([*versions, *_cuda_versions()])
        about["driver"] = _driver()
    return about


def _installed(packages: Collection[str]) -> Iterator[str]:
    for package in packages:
        try:
            yield f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            continue


def _cuda_versions() -> Iterator[str]:
    yield from _installed(["triton"])
    yield f"CUDA {torch.version.cuda}"
    yield f"cuDNN {torch.backends.cudnn.version()}"  # type: ignore[no-untyped-call]


def _driver() -> str:
    """Of the first GPU; empty where its tool is not at hand."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return lines[0] if lines else ""


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0]}, {len(models)} cores" if models else platform.processor()


def append_rows(name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows to a results file, and show them."""
    if not rows:
        return
    path = RESULTS / name
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        if new:
            writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        show(row)


def show(row: Mapping[str, Any]) -> None:
    sys.stdout.write(", ".join(f"{key} {value}" for key, value in row.items()) + "\n")
