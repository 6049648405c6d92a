"""How good a forecaster is: errors by lead time, beside those of the two forecasts that cost nothing."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class ForecastMetrics:
    """squared, absolute: (horizon,) mean errors by lead time, by name of the forecast: `model`, `persistence` (the last
    value stays) and `same_hour` (the last day comes again). count: of the values compared.
    """

    squared: dict[str, Tensor]
    absolute: dict[str, Tensor]
    count: int

    @property
    def summary(self) -> dict[str, float]:
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
        return {**self.summary, "values": self.count, **by_lead}


class ErrorSums:
    """Errors summed up over batches, in float64."""

    def __init__(self) -> None:
        self.squared: dict[str, Tensor] = {}
        self.absolute: dict[str, Tensor] = {}
        self.known = torch.zeros(1)

    def add(self, forecasts: dict[str, Tensor], targets: Tensor) -> None:
        known = ~targets.isnan()
        self.known = self.known + known.sum(dim=(0, 1))
        for name, forecast in forecasts.items():
            error = torch.where(known, forecast - targets, 0.0).double()
            self.squared[name] = self.squared.get(name, 0.0) + error.square().sum(dim=(0, 1))
            self.absolute[name] = self.absolute.get(name, 0.0) + error.abs().sum(dim=(0, 1))

    def metrics(self) -> ForecastMetrics:
        squared, absolute = (
            {name: sums / self.known.clamp(min=1) for name, sums in table.items()}
            for table in (self.squared, self.absolute)
        )
        return ForecastMetrics(squared, absolute, int(self.known.sum()))
