"""What a run leaves for people: metrics as JSON, the learning curve as a picture."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from training.data import Splits
from training.run import EpochRecord
from training.scoring import Score


def write_report(
    out: Path, history: Sequence[EpochRecord], scores: Mapping[str, Score], splits: Splits, settings: Mapping[str, Any]
) -> None:
    """metrics.json: settings, splits, every epoch, and the final scores by class; curve.png: the epochs, drawn."""
    judged = {name: asdict(score) | {"per_class": _by_label(score, splits)} for name, score in scores.items()}
    metrics: dict[str, Any] = {
        **judged,
        "splits": {
            "train": len(splits.train),
            "validation": len(splits.validation),
            "test": len(splits.test),
            "origin": splits.origin,
        },
        "settings": dict(settings),
        "torch": torch.__version__,
        "epochs": [asdict(record) for record in history],
    }
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    draw_curve(out / "curve.png", history)


def _by_label(score: Score, splits: Splits) -> dict[str, float | None]:
    return dict(zip(splits.labels, score.per_class, strict=True))


def draw_curve(path: Path, history: Sequence[EpochRecord]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    epochs = [record.epoch + 1 for record in history]
    figure, (losses, accuracy) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    losses.plot(epochs, [record.train_loss for record in history], label="training (augmented)")
    losses.plot(epochs, [record.validation_loss for record in history], label="validation")
    losses.set(xlabel="epoch", ylabel="cross-entropy")
    losses.legend()
    accuracy.plot(epochs, [record.validation_accuracy for record in history])
    accuracy.set(xlabel="epoch", ylabel="validation accuracy", ylim=(0, 1))
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
