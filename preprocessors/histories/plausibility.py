"""Values that no weather has: refused, with a guess at what they were meant to be."""

from datetime import datetime

import numpy as np

from preprocessors.base import UndecodableInput
from preprocessors.histories.refusal import damaged, place
from preprocessors.histories.station import Stations
from preprocessors.histories.variable import Values, Variable

# What archives write where nothing was measured; each also times ten
SENTINELS = (-99.0, -99.9, -999.0, -999.9, -9999.0, -9999.9, 999.0, 999.9, 9999.0, 9999.9, 99999.0, -32768.0)


def canonical(values: Values, variable: Variable, units: str, start: datetime, stations: Stations) -> Values:
    """(T, N) in the canonical unit. NaN passes. Raises UndecodableInput, naming the first value out of range."""
    with np.errstate(over="ignore"):  # infinity is out of range, too
        converted = variable.units[units].to_canonical(values)
    # NaN fails this test, too, and is then let pass by the exact one
    if not (converted.min() >= variable.low and converted.max() <= variable.high):
        wrong = (converted < variable.low) | (converted > variable.high)
        if wrong.any():
            step, station = (int(index) for index in np.unravel_index(wrong.argmax(), wrong.shape))
            where = place(start, step, stations.ids[station])
            raise _implausible(float(values[step, station]), values[wrong], where, variable, units)
    return converted


def _implausible(first: float, all_wrong: Values, where: str, variable: Variable, units: str) -> UndecodableInput:
    unit = variable.units[units]
    low, high = (float(unit.from_canonical(np.array(bound))) for bound in (variable.low, variable.high))
    found = f"{variable.name} {where} is {first:.10g} {units}, expected {low:g} to {high:g}"
    if first in SENTINELS or first / 10 in SENTINELS:
        return damaged(f"{found}; archives write such a number for a missing value", "send null instead")
    fitting = [name for name, other in variable.units.items() if name != units and _fits(all_wrong, variable, name)]
    if fitting:
        return damaged(
            f"{found}; it would be in range as {' or '.join(fitting)}", "say the units that the values are in"
        )
    return damaged(found)


def _fits(values: Values, variable: Variable, units: str) -> bool:
    with np.errstate(over="ignore"):
        converted = variable.units[units].to_canonical(values)
    return bool(converted.min() >= variable.low and converted.max() <= variable.high)
