"""What a run leaves for people: metrics as JSON, the learning curve as a picture."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from training.metrics import Metrics
from training.run import EpochRecord


def write_report(
    out: Path,
    history: Sequence[EpochRecord],
    evaluations: Mapping[str, Metrics],
    splits: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> None:
    """metrics.json: settings, splits, every epoch, and the final metrics in detail; curve.png: the epochs, drawn."""
    report: dict[str, Any] = {
        **{name: metrics.details for name, metrics in evaluations.items()},
        "splits": dict(splits),
        "settings": dict(settings),
        "torch": torch.__version__,
        "epochs": [asdict(record) for record in history],
    }
    (out / "metrics.json").write_text(json.dumps(report, indent=2) + "\n")
    plot_curve(out / "curve.png", history)


def plot_curve(path: Path, history: Sequence[EpochRecord]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    epochs = [record.epoch + 1 for record in history]
    names = list(history[-1].validation)
    figure, axes = pyplot.subplots(1, 1 + len(names), figsize=(5 * (1 + len(names)), 4), layout="constrained")
    axes[0].plot(epochs, [record.train_loss for record in history])
    axes[0].set(xlabel="epoch", ylabel="training loss (augmented)")
    for axis, name in zip(axes[1:], names, strict=True):
        axis.plot(epochs, [record.validation[name] for record in history])
        axis.set(xlabel="epoch", ylabel=f"validation {name}")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
