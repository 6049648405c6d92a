"""Requests of KServe's time series protocol, POST /v1/timeseries/forecast, told in our own fields.

One multivariate input is a whole network, a row an hour; several univariate ones are a station each. What the protocol
has no field for, such as variable, units and stations, may stand in `options`, or beside `series` in the only input.
"""

from typing import Any

from preprocessors.histories.fields import FIELDS, HOURS_FIRST, STATIONS_FIRST
from preprocessors.histories.refusal import damaged, quoted
from preprocessors.histories.station_list import STATION_FIELDS
from preprocessors.histories.terms import Terms

SHARED = ("start_timestamp", "frequency")  # must be the same for every station


def kserve_fields(body: dict[str, Any], terms: Terms) -> dict[str, Any]:
    inputs = body["inputs"]
    if not isinstance(inputs, list) or not inputs or not all(isinstance(item, dict) for item in inputs):
        raise damaged(f"its inputs are {quoted(inputs)}, expected a list of objects with a series each, one at least")
    options = body.get("options") or {}
    if not isinstance(options, dict):
        raise damaged(f"its options are {quoted(options)}, expected an object")
    terms.check_stations(len(inputs))
    network = len(inputs) == 1 and not _is_univariate(inputs[0])
    return {**options, **(inputs[0] if network else _stations(inputs))}


def _is_univariate(item: dict[str, Any]) -> bool:
    series = item.get("series")
    return isinstance(series, list) and bool(series) and not isinstance(series[0], list)


def _stations(inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """A station for every input; its values are a row of numbers."""
    first = inputs[0]
    for index, item in enumerate(inputs):
        if not _is_univariate(item):
            raise damaged(
                f"input {index} of several holds no list of numbers", "send one multivariate input, or one per station"
            )
        for name in SHARED:
            if item.get(name) != first.get(name):
                found = f"its {name} is {quoted(item.get(name))} for input {index}, expected {quoted(first.get(name))}"
                raise damaged(found, "send the same hours of every station")
    facts = {
        name: first[name]
        for field in ("variable", "units", "start", "frequency")
        for name in FIELDS[field]
        if name in first
    }
    return {
        **facts,
        "stations": [_station(item) for item in inputs],
        STATIONS_FIRST: [item[HOURS_FIRST] for item in inputs],
    }


def _station(item: dict[str, Any]) -> dict[str, Any]:
    """An input may have a name of its own beside the id of its station."""
    known = {name for names in STATION_FIELDS.values() for name in names}
    station = {name: value for name, value in item.items() if name in known}
    if len(station.keys() & set(STATION_FIELDS["id"])) > 1:
        del station["name"]
    return station
