"""What a history must meet, set by whoever is to use it."""

from dataclasses import dataclass

from preprocessors.base import TooLarge, UndecodableInput


@dataclass(frozen=True)
class Terms:
    """variable: others are refused; None: any. default_variable: of histories that do not say theirs.

    min_steps, max_steps: hours of a history, both inclusive. max_values: stations x hours.
    positions: every station must say its latitude and longitude. elevations: and its height above the sea.
    keep_gaps: missing values stay NaN, which training can live with. max_gap: hours in a row that may be interpolated.
    max_missing: share of a station's hours that may. horizon: hours to forecast where nobody says how many.
    """

    variable: str | None = None
    default_variable: str | None = None
    min_steps: int = 1
    max_steps: int = 24 * 366
    max_stations: int = 5_000
    max_values: int = 10_000_000
    positions: bool = False
    elevations: bool = False
    keep_gaps: bool = False
    max_gap: int = 6
    max_missing: float = 0.25
    horizon: int = 24

    def check_stations(self, count: int) -> None:
        if count > self.max_stations:
            raise self._too_many(f"{count} stations, at most {self.max_stations} are read", self.max_stations, count)

    def check_size(self, steps: int, stations: int) -> None:
        """Before the memory for steps x stations values is spent."""
        self.check_stations(stations)
        if steps > self.max_steps:
            raise self._too_many(f"{steps} hours, at most {self.max_steps} are read", self.max_steps, steps)
        self.check_values(steps * stations)

    def check_values(self, count: int) -> None:
        if count > self.max_values:
            raise self._too_many(f"{count} values, at most {self.max_values} are read", self.max_values, count)

    def check_length(self, steps: int) -> None:
        if steps < self.min_steps:
            detail = f"the history is {steps} hours long, at least {self.min_steps} are needed: send earlier hours, too"
            raise UndecodableInput("too_short", detail, self.min_steps, steps)

    @staticmethod
    def _too_many(found: str, limit: int, actual: int) -> TooLarge:
        detail = f"the weather history holds {found}: send the latest hours alone, or fewer stations at a time"
        return TooLarge("too_many_values", detail, limit, actual)
