"""Forecasts of the coming hours, as they were asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from models.postprocessors.base import Postprocessor, Row


class Asked(Protocol):
    """What a forecast needs to know of the request that it answers."""

    variable: str
    units: str
    start_time: str
    stations: Sequence[str]

    def answer(self, slots: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(slots, hours) of every view, in the model's order and unit -> (hours, stations) as they were sent."""


@dataclass(frozen=True)
class ForecastOptions:
    """What a request may ask of the answer: the horizon is said with the history."""


@dataclass(frozen=True)
class Forecast:
    """forecast: hours x stations, from start_time (UTC) on, in `units`, the stations in the order of the request."""

    variables: list[str]
    units: str
    start_time: str
    frequency: str
    horizon: int
    stations: list[str]
    forecast: NDArray[np.float32]


@dataclass(frozen=True)
class ForecastPostprocessor(Postprocessor):
    """Rows hold `forecast` (slots, hours)."""

    head: ClassVar[str] = "models.heads.forecast:ForecastHead"
    result_type: ClassVar[type] = Forecast
    option_type: ClassVar[type] = ForecastOptions

    def interpret(self, rows: Sequence[Row], options: ForecastOptions, context: Any = None) -> Forecast:
        """context: what the preprocessor tells of the request, Asked."""
        asked: Asked = context
        values = asked.answer([row["forecast"] for row in rows])
        return Forecast(
            variables=[asked.variable],
            units=asked.units,
            start_time=asked.start_time,
            frequency="H",
            horizon=len(values),
            stations=list(asked.stations),
            forecast=values,
        )
