"""A trained forecaster's answer for one window of the test split, drawn beside what came."""

from pathlib import Path

import torch
from torch import nn

from models.embeddings.station_network import FACTS
from training.evaluation_windows import EvaluationWindows

PANELS = 6


def plot_forecast(model: nn.Module, windows: EvaluationWindows, units: str, path: Path) -> None:
    """The last window's first stations, into a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    x, targets = windows[len(windows) - 1]
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        forecast = model(windows.preprocessor.transform(x[None].to(device)))["forecast"][0].float().cpu()
    figure, axes = pyplot.subplots(2, PANELS // 2, figsize=(12, 5), layout="constrained", sharex=True)
    filled = (~x[:, 0].isnan()).nonzero().flatten()[:PANELS].tolist()
    for axis, slot in zip(axes.flat, filled, strict=False):
        history = x[slot, FACTS:]
        hours = range(len(history), len(history) + targets.shape[1])
        axis.plot(history, color="tab:blue", label="history")
        axis.plot(hours, targets[slot], color="tab:blue", linestyle=":", label="came")
        axis.plot(hours, forecast[slot], color="tab:orange", label="forecast")
        axis.set(xlabel="hour", ylabel=units)
    axes.flat[0].legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
