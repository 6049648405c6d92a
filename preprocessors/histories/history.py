"""The value that every reader of weather ends in: a checked history of a network of stations."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from preprocessors.histories.refusal import HOUR
from preprocessors.histories.station import Stations
from preprocessors.histories.variable import VARIABLES, Unit, Values


@dataclass(frozen=True, eq=False)
class History:
    """values: (T, N) float64, hours x stations, all finite, in the canonical unit of the variable (degC, m/s).

    start: time of the first row, in UTC. units: those that the values came in, one of the variable's.
    interpolated: how many of the values nobody measured. horizon: hours that the sender asks to be forecast.
    """

    variable: str
    values: Values
    start: datetime
    stations: Stations
    units: str
    interpolated: int
    horizon: int

    frequency: ClassVar[timedelta] = HOUR

    @property
    def end(self) -> datetime:
        """Time of the first hour after the history, where a forecast begins."""
        return self.start + len(self.values) * HOUR

    def in_sent_units(self, values: Values) -> Values:
        """Canonical values, of any shape, as the sender would write them."""
        return self._unit.from_canonical(values)

    @property
    def _unit(self) -> Unit:
        return VARIABLES[self.variable].units[self.units]
