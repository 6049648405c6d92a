"""Tables -> a Record: long, a row for each value, or wide, a row for each hour and a column for each station.

Rows may come in any order. What the first row and the last enclose is the history; of hours between them that have no
row every value is missing.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from preprocessors.histories.arrow_file import ArrowFile, Columns
from preprocessors.histories.clock import OFFSETS, hour_rows
from preprocessors.histories.columns import Labels, floats, labels, times
from preprocessors.histories.record import Record
from preprocessors.histories.refusal import damaged, place, quoted
from preprocessors.histories.station import RANGES, Positions, Stations
from preprocessors.histories.station_list import STATION_FIELDS
from preprocessors.histories.terms import Terms
from preprocessors.histories.variable import is_variable, variable

TIMES = ("time", "timestamp", "datetime", "date", "valid_time", "start_time", "ds")
UNNAMED = ("", "index", "__index_level_0__")  # how pandas writes an index that has no name
VALUES = ("value", "y")  # or the name of a variable

Rows = NDArray[np.int64]


def read_table(file: ArrowFile, terms: Terms) -> Record:
    """Long where a column names the stations, else wide, where the names of the columns do."""
    twice = [name for name, count in Counter(file.names).items() if count > 1]
    if twice:
        raise damaged(f"it has two columns of the name {quoted(twice[0])}", "send each station once")
    time = _time_column(file.names)
    station = _column(file.names, STATION_FIELDS["id"])
    if station is None:
        return _wide(file, time, terms)
    return _long(file, time, station, terms)


def _column(names: Sequence[str], accepted: Sequence[str]) -> str | None:
    return next((name for name in names if name.lower() in accepted), None)


def _time_column(names: Sequence[str]) -> str:
    named = _column(names, TIMES) or next((name for name in names if name in UNNAMED), None)
    if named is None:
        found = ", ".join(names[:5])
        raise damaged(f"none of its columns is named {', '.join(TIMES)}; they are {found}", "name the column of times")
    return named


def _wide(file: ArrowFile, time: str, terms: Terms) -> Record:
    ids = [name for name in file.names if name != time]
    terms.check_stations(len(ids))
    terms.check_values(file.rows * len(ids))
    stations = Stations.of(ids)
    table = file.read([time], ids)
    start, rows = _hours(times(table, time))
    steps = int(rows.max()) + 1
    terms.check_size(steps, len(ids))
    _check_twice(rows, steps, start, ids[:1])
    values = np.full((steps, len(ids)), np.nan)
    values[rows] = np.column_stack([floats(table, name) for name in ids])
    return Record(values, stations, start)


def _long(file: ArrowFile, time: str, station: str, terms: Terms) -> Record:
    terms.check_values(file.rows)
    value, named = _value_column(file.names, terms)
    positions = {name: _column(file.names, STATION_FIELDS[name]) for name in RANGES}
    table = file.read([time, station], [value, *(name for name in positions.values() if name)])
    start, rows = _hours(times(table, time))
    network = labels(table, station)
    steps, count = int(rows.max()) + 1, len(network.names)
    terms.check_size(steps, count)
    cells = rows * count + network.rows
    _check_twice(cells, steps * count, start, network.names)
    values = np.full(steps * count, np.nan)
    values[cells] = floats(table, value)
    places = {name: _place(table, column, network) for name, column in positions.items() if column}
    return Record(values.reshape(steps, count), Stations.of(network.names, **places), start, named)


def _value_column(names: Sequence[str], terms: Terms) -> tuple[str, str | None]:
    """Its name, and the variable that this is, where it is one."""
    plain = _column(names, VALUES)
    if plain is not None:
        return plain, None
    named = [name for name in names if is_variable(name)]
    preferred = terms.variable or terms.default_variable
    wanted = [name for name in named if preferred in (None, variable(name).name)] or named
    if len(wanted) != 1:
        found = ", ".join(wanted) or "none"
        raise damaged(f"of its columns these are values: {found}; expected one", "name the column of values `value`")
    return wanted[0], variable(wanted[0]).name


def _hours(moments: Rows) -> tuple[datetime, Rows]:
    if not len(moments):
        raise damaged("it has no rows, expected one for each hour")
    return hour_rows(moments)


def _check_twice(cells: Rows, count: int, start: datetime, stations: Sequence[str]) -> None:
    """Refuse a table that has more than one value for an hour of a station; cells: hour x stations + station."""
    seen = np.zeros(count, bool)
    seen[cells] = True
    if int(seen.sum()) < len(cells):
        ordered = np.sort(cells)
        step, station = divmod(int(ordered[1:][ordered[1:] == ordered[:-1]][0]), len(stations))
        raise damaged(f"it has two values {place(start, step, stations[station])}", OFFSETS)


def _place(table: Columns, column: str, network: Labels) -> Positions:
    """(N,) what the rows of each station say of its place, which must be the same in all of them."""
    told = floats(table, column)
    first = np.full(len(network.names), np.nan)
    known = ~np.isnan(told)
    first[network.rows[known]] = told[known]
    moved = known & (first[network.rows] != told)
    if moved.any():
        row = int(moved.argmax())
        station, other = network.names[network.rows[row]], first[network.rows[row]]
        raise damaged(f"the {column} of station {quoted(station)} is {told[row]:g}, and {other:g} in another row")
    return first
