"""What a payload says, as its reader found it: complete enough to be read, but not yet checked against anything."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from preprocessors.histories.station import Stations
from preprocessors.histories.variable import Values


class Missing(StrEnum):
    """What becomes of values that are missing: the history is refused, or they are interpolated in time."""

    ERROR = "error"
    INTERPOLATE = "interpolate"


@dataclass(frozen=True, eq=False)
class Record:
    """values: (T, N) float64, hours x stations, in the units of the sender, NaN where missing.

    None stands for what the payload does not say.
    """

    values: Values
    stations: Stations | None = None
    start: datetime | None = None
    variable: str | None = None
    units: str | None = None
    missing: Missing | None = None
    horizon: int | None = None
