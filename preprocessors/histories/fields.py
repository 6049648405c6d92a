"""Named fields -> a Record: the members of a JSON body or the arrays of an npz file, by any of their accepted names."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from preprocessors.base import Array
from preprocessors.histories.clock import check_hourly, parse_time
from preprocessors.histories.number_array import number_array
from preprocessors.histories.number_grid import number_grid
from preprocessors.histories.record import Missing, Record
from preprocessors.histories.refusal import damaged, quoted
from preprocessors.histories.station import RANGES, Stations
from preprocessors.histories.station_list import STATION_FIELDS, stations_of
from preprocessors.histories.terms import Terms
from preprocessors.histories.variable import Values

HOURS_FIRST, STATIONS_FIRST = "series", "values"  # the two ways to arrange the numbers
FIELDS: dict[str, tuple[str, ...]] = {
    "variable": ("variable", "variables"),
    "units": ("units", "unit"),
    "start": ("start_time", "start", "start_timestamp"),
    "frequency": ("frequency", "step_hours"),
    "stations": ("stations", "station"),
    "numbers": (HOURS_FIRST, STATIONS_FIRST),
}
MAX_HORIZON = 24 * 366  # hours


def record_of(body: Mapping[str, Any], terms: Terms) -> Record:
    """series: hours x stations, or values: stations x hours. Members of other names are not looked at.

    stations: names, or objects of a name and maybe a position; positions may also stand in lists of their own.
    """
    frequency = member(body, FIELDS["frequency"])
    if frequency is not None:
        check_hourly(frequency)
    start = member(body, FIELDS["start"])
    values = _values(body, terms)
    return Record(
        values,
        _network(body, terms),
        None if start is None else parse_time(start),
        _variable(body),
        _text(body, "units"),
        _parsed(body, "missing", _missing),
        _parsed(body, "horizon", _horizon),
    )


def member(body: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """Null is as good as absent."""
    given = [name for name in names if body.get(name) is not None]
    if len(given) > 1:
        raise damaged(f"it says both {' and '.join(given)}, which mean the same", "send one of them")
    return body[given[0]] if given else None


def _values(body: Mapping[str, Any], terms: Terms) -> Values:
    numbers = member(body, FIELDS["numbers"])
    if numbers is None:
        raise damaged(
            f"it has no {HOURS_FIRST}", f"send {HOURS_FIRST}: a list of hours, each a list with a number per station"
        )
    by_station = body.get(STATIONS_FIRST) is not None
    if isinstance(numbers, np.ndarray):
        return number_array(numbers, by_station)
    if numbers == [] and member(body, FIELDS["stations"]) == []:
        raise damaged("it names no stations, at least one is needed")
    return number_grid(numbers, terms, by_station)


def _variable(body: Mapping[str, Any]) -> str | None:
    named = member(body, FIELDS["variable"])
    if isinstance(named, list):
        if len(named) != 1:
            raise damaged(f"it names {len(named)} variables, expected one", "send one variable at a time")
        named = named[0]
    return _string("variable", named)


def _text(body: Mapping[str, Any], name: str) -> str | None:
    return _string(name, member(body, FIELDS[name]))


def _string(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise damaged(f"its {name} is {quoted(value)}, expected text")
    return value


def _parsed(body: Mapping[str, Any], name: str, parse: Callable[[Any], Any]) -> Any:
    value = body.get(name)
    return None if value is None else parse(value)


def _missing(value: Any) -> Missing:
    if value not in list(Missing):
        raise damaged(f"missing is {quoted(value)}, expected {' or '.join(Missing)}")
    return Missing(value)


def _horizon(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MAX_HORIZON:
        raise damaged(f"the horizon is {quoted(value)}, expected a whole number of hours, 1 to {MAX_HORIZON}")
    return value


def _plain_list(value: Array | Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _network(body: Mapping[str, Any], terms: Terms) -> Stations | None:
    listed = _plain_list(member(body, FIELDS["stations"]))
    if listed is None:
        return None
    if not isinstance(listed, list):
        raise damaged(f"its stations are {quoted(listed)}, expected a list of names or of objects")
    terms.check_stations(len(listed))
    if dict in map(type, listed):
        objects = [item if isinstance(item, dict) else {"id": item} for item in listed]
        return stations_of({name: _column(objects, names) for name, names in STATION_FIELDS.items()})
    positions = {name: _plain_list(member(body, STATION_FIELDS[name])) for name in RANGES}
    return stations_of({"id": listed, **positions})


def _column(objects: list[dict[str, Any]], names: tuple[str, ...]) -> list[Any]:
    """The member of any of these names, of each object."""
    used = [name for name in names if any(name in item for item in objects)]
    if len(used) == 1:  # as good as always, and the faster way
        return [item.get(used[0]) for item in objects]
    return [member(item, names) for item in objects]
