"""The variables that are forecast: what they are measured in, and what they can be on Earth."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessors.histories.refusal import damaged, quoted

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Unit:
    """canonical = (value + shift) * factor / divisor. The factors are whole numbers, so that 213 tenths are 21.3."""

    shift: float = 0.0
    factor: float = 1.0
    divisor: float = 1.0

    def to_canonical(self, values: Values) -> Values:
        if self == CANONICAL:
            return values
        return (values + self.shift) * self.factor / self.divisor

    def from_canonical(self, values: Values) -> Values:
        if self == CANONICAL:
            return values
        return values * self.divisor / self.factor - self.shift

    def told(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """`from_canonical` in single precision, after computing in double: 21.3 is 213 tenths."""
        if self == CANONICAL:
            return values
        return self.from_canonical(values.astype(np.float64)).astype(np.float32)


CANONICAL = Unit()


@dataclass(frozen=True)
class Variable:
    """low, high: in the canonical unit, the first of `units`; the records of weather stations lie within."""

    name: str
    low: float
    high: float
    units: Mapping[str, Unit]

    @property
    def canonical(self) -> str:
        return next(iter(self.units))

    def unit(self, name: str) -> str:
        """Its own name of a unit that may be written in another way."""
        known = {alias.lower(): unit for alias, unit in UNIT_ALIASES.items()} | {
            unit.lower(): unit for unit in self.units
        }
        found = known.get(name.strip().lower())
        if found is None or found not in self.units:
            raise damaged(
                f"the unit of {self.name} is {quoted(name)}, expected one of {', '.join(self.units)}",
                "convert the values, or correct the unit",
            )
        return found


TEMPERATURE_UNITS = {
    "degC": CANONICAL,
    "K": Unit(shift=-273.15),
    "degF": Unit(shift=-32, factor=5, divisor=9),
    "degC_x10": Unit(divisor=10),
}
WIND_UNITS = {
    "m/s": CANONICAL,
    "km/h": Unit(factor=10, divisor=36),
    "kn": Unit(factor=1852, divisor=3600),
    "m/s_x10": Unit(divisor=10),
}
VARIABLES: dict[str, Variable] = {
    "temperature": Variable("temperature", -90, 60, TEMPERATURE_UNITS),
    "wind": Variable("wind", 0, 120, WIND_UNITS),
}
VARIABLE_ALIASES = {"air_temperature": "temperature", "wind_speed": "wind"}
UNIT_ALIASES = {
    "C": "degC",
    "°C": "degC",
    "celsius": "degC",
    "kelvin": "K",
    "F": "degF",
    "°F": "degF",
    "fahrenheit": "degF",
    "ms-1": "m/s",
    "m s-1": "m/s",
    "kmh": "km/h",
    "kt": "kn",
    "knots": "kn",
}


def is_variable(name: str) -> bool:
    return _plain(name) in VARIABLES


def variable(name: str) -> Variable:
    """By its name or another that is in use. Raises UndecodableInput for those that are not forecast."""
    if not is_variable(name):
        raise damaged(f"the variable is {quoted(name)}, expected one of {', '.join(VARIABLES)}", "send one of these")
    return VARIABLES[_plain(name)]


def _plain(name: str) -> str:
    lower = name.strip().lower()
    return VARIABLE_ALIASES.get(lower, lower)
