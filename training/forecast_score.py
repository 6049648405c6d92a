"""How good a forecaster is: errors by lead time, beside those of the two forecasts that cost nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from models.embeddings.station_network import FACTS
from models.heads.base import Outputs
from training.lesson import Judge

DAY = 24
BATCH = 8


@dataclass(frozen=True)
class ForecastScore:
    """squared, absolute: (horizon,) mean errors by lead time, by name of the forecast: `model`, `persistence` (the last
    value stays) and `same_hour` (the last day comes again). count: of the values compared.
    """

    squared: dict[str, Tensor]
    absolute: dict[str, Tensor]
    count: int

    @property
    def metrics(self) -> dict[str, float]:
        """Of all lead times together."""
        of_model = {"mse": self.squared["model"], "mae": self.absolute["model"]}
        others = {f"{name}_mse": errors for name, errors in self.squared.items() if name != "model"}
        return {name: errors.mean().item() for name, errors in {**of_model, **others}.items()}

    @property
    def details(self) -> dict[str, Any]:
        by_lead = {
            f"{measure}_by_lead_hour": {name: [round(e, 4) for e in errors.tolist()] for name, errors in table.items()}
            for measure, table in (("mse", self.squared), ("mae", self.absolute))
        }
        return {**self.metrics, "values": self.count, **by_lead}


FREE: dict[str, Callable[[Tensor, int], Tensor]] = {
    "persistence": lambda values, horizon: values[..., -1:].expand(*values.shape[:-1], horizon),
    "same_hour": lambda values, horizon: values[..., torch.arange(horizon) % DAY - DAY],
}


def masked_mse(outputs: Outputs, targets: Tensor) -> Tensor:
    """Mean squared error where the target is known; NaN elsewhere."""
    known = ~targets.isnan()
    error = (outputs["forecast"].float() - targets.nan_to_num(0.0)).masked_fill(~known, 0)
    return error.square().sum() / known.sum().clamp(min=1)


def forecast_judge(transform: Callable[[Tensor], Tensor]) -> Judge[ForecastScore]:
    """Scores a model on windows and what came after them."""

    @torch.inference_mode()
    def judge(model: nn.Module, data: Dataset[Any], device: torch.device) -> ForecastScore:
        model.eval()
        sums = Sums()
        for batch, coming in DataLoader(data, BATCH):
            values, horizon = batch[..., FACTS:], coming.shape[-1]
            forecasts = {name: free(values, horizon) for name, free in FREE.items()}
            forecasts["model"] = model(transform(batch.to(device)))["forecast"].float().cpu()
            sums.add(forecasts, coming)
        return sums.score()

    return judge


class Sums:
    """Errors summed up over batches, in float64."""

    def __init__(self) -> None:
        self.squared: dict[str, Tensor] = {}
        self.absolute: dict[str, Tensor] = {}
        self.known = torch.zeros(1)

    def add(self, forecasts: dict[str, Tensor], coming: Tensor) -> None:
        known = ~coming.isnan()
        self.known = self.known + known.sum(dim=(0, 1))
        for name, forecast in forecasts.items():
            error = torch.where(known, forecast - coming, 0.0).double()
            self.squared[name] = self.squared.get(name, 0.0) + error.square().sum(dim=(0, 1))
            self.absolute[name] = self.absolute.get(name, 0.0) + error.abs().sum(dim=(0, 1))

    def score(self) -> ForecastScore:
        squared, absolute = (
            {name: sums / self.known.clamp(min=1) for name, sums in table.items()}
            for table in (self.squared, self.absolute)
        )
        return ForecastScore(squared, absolute, int(self.known.sum()))
