"""Where measurements are kept: rows of CSV that say on what they were measured, and when."""

import csv
import datetime
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).resolve().parent / "results"


def machine(device: str) -> dict[str, str]:
    """Date, device and versions."""
    name = torch.cuda.get_device_name() if device == "cuda" else _processor()
    versions = f"python {platform.python_version()}, torch {torch.__version__}"
    return {"date": datetime.date.today().isoformat(), "device": name, "versions": versions}


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
        sys.stdout.write(", ".join(f"{key} {value}" for key, value in row.items()) + "\n")
