"""A Record, what the request adds, and what the model needs -> a History; or the refusal of what does not agree."""

from datetime import datetime

from preprocessors.histories.clock import check_hourly, parse_time
from preprocessors.histories.gaps import without_gaps
from preprocessors.histories.history import History
from preprocessors.histories.plausibility import canonical
from preprocessors.histories.record import Record
from preprocessors.histories.refusal import damaged, iso, quoted
from preprocessors.histories.station import Stations
from preprocessors.histories.terms import Terms
from preprocessors.histories.variable import variable
from preprocessors.histories.weather_options import WeatherOptions


def checked(record: Record, options: WeatherOptions, terms: Terms) -> History:
    """Raises UndecodableInput or TooLarge for what no history has, and for facts that do not agree."""
    steps, count = record.values.shape
    terms.check_size(steps, count)
    told = agreed_variable(record.variable, terms.variable) or terms.default_variable
    measured = variable(_needed("variable", told))
    units = agreed("units", *(name and measured.unit(name) for name in (record.units, options.units)))
    units = units or measured.canonical
    start = _start(record, options)
    stations = _stations(record, terms)
    values = canonical(record.values, measured, units, start, stations)
    terms.check_length(steps)
    interpolated = 0
    if not terms.keep_gaps:
        values, interpolated = without_gaps(values, record.missing or options.missing, start, stations, terms)
    horizon = options.horizon or record.horizon or terms.horizon
    return History(measured.name, values, start, stations, units, interpolated, horizon)


def _start(record: Record, options: WeatherOptions) -> datetime:
    if options.frequency is not None:
        check_hourly(options.frequency)
    told = options.start_time and iso(parse_time(options.start_time))
    return parse_time(_needed("start_time", agreed("start_time", iso(record.start) if record.start else None, told)))


def agreed_variable(one: str | None, other: str | None) -> str | None:
    """The same by their own names."""
    return agreed("variable", *(name and variable(name).name for name in (one, other)))


def agreed(name: str, one: str | None, other: str | None) -> str | None:
    """What both say, or the one that says something."""
    if one and other and one != other:
        raise damaged(f"its {name} is {quoted(one)}, expected {quoted(other)}", f"correct the {name}, or leave one out")
    return one or other


def _needed(name: str, value: str | None) -> str:
    if value is None:
        raise damaged(f"nothing says its {name}", f"send {name} in the body or in the query")
    return value


def _stations(record: Record, terms: Terms) -> Stations:
    count = record.values.shape[1]
    stations = record.stations or Stations.numbered(count)
    if len(stations) != count:
        raise damaged(f"it names {len(stations)} stations, and has the values of {count}", "send as many of both")
    if terms.positions:
        stations.require("latitude", "longitude")
    if terms.elevations:
        stations.require("elevation")
    return stations
