"""What a request may say beside its payload."""

from dataclasses import dataclass, field

from preprocessors.histories.fields import MAX_HORIZON
from preprocessors.histories.record import Missing


@dataclass(frozen=True)
class WeatherOptions:
    """What a request may say of a history that does not say it itself; where both do, they must agree."""

    variable: str | None = field(
        default=None, metadata={"description": "temperature or wind; else the one that the model forecasts"}
    )
    units: str | None = field(
        default=None,
        metadata={
            "description": "degC (default), K, degF, degC_x10; m/s (default), km/h, kn, m/s_x10; the answer's, too"
        },
    )
    start_time: str | None = field(
        default=None,
        metadata={"description": "Time of the first row, ISO 8601; UTC where it has no offset. Needed for npy"},
    )
    frequency: str | None = field(default=None, metadata={"description": "H: the rows are an hour apart, the only one"})
    missing: Missing = field(
        default=Missing.ERROR,
        metadata={"description": "error: refuse null and NaN; interpolate: fill gaps of a few hours linearly in time"},
    )
    horizon: int | None = field(
        default=None,
        metadata={
            "ge": 1,
            "le": MAX_HORIZON,
            "description": "Hours to forecast; else those the body says, or all that the model can",
        },
    )
