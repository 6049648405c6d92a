"""Measures a forecaster on windows and what came after them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from models.embeddings.station_network import FACTS
from training.evaluator import Evaluator
from training.forecast_metrics import ErrorSums, ForecastMetrics

DAY = 24
BATCH = 8

# (..., T) history and the horizon -> (..., horizon): forecasts that cost nothing
BASELINES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "persistence": lambda values, horizon: values[..., -1:].expand(*values.shape[:-1], horizon),
    "same_hour": lambda values, horizon: values[..., torch.arange(horizon) % DAY - DAY],
}


def forecast_evaluator(transform: Callable[[Tensor], Tensor]) -> Evaluator[ForecastMetrics]:
    """transform: of a batch of windows into the model's input."""

    @torch.inference_mode()
    def evaluate(model: nn.Module, data: Dataset[Any], device: torch.device) -> ForecastMetrics:
        model.eval()
        sums = ErrorSums()
        for batch, targets in DataLoader(data, BATCH):
            values, horizon = batch[..., FACTS:], targets.shape[-1]
            forecasts = {name: baseline(values, horizon) for name, baseline in BASELINES.items()}
            forecasts["model"] = model(transform(batch.to(device)))["forecast"].float().cpu()
            sums.add(forecasts, targets)
        return sums.metrics()

    return evaluate
