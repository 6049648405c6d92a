"""Values that are missing: refused, or interpolated linearly in time where the gaps are short."""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from preprocessors.base import UndecodableInput
from preprocessors.histories.record import Missing
from preprocessors.histories.refusal import place
from preprocessors.histories.station import Stations
from preprocessors.histories.terms import Terms
from preprocessors.histories.variable import Values


def without_gaps(
    values: Values, missing: Missing, start: datetime, stations: Stations, terms: Terms
) -> tuple[Values, int]:
    """(T, N) without NaN, and how many there were. A station's first and last are held."""
    if not np.isnan(values.min()):  # NaN where one is missing
        return values, 0
    gaps = np.isnan(values)
    count = int(gaps.sum())
    if missing is Missing.ERROR:
        step, station = np.unravel_index(gaps.argmax(), gaps.shape)
        where = place(start, int(step), stations.ids[int(station)])
        raise _missing(
            f"there is no value {where}, {count} of {gaps.size} are missing: send them, or missing=interpolate"
        )
    filled = values.copy()
    hours = np.arange(len(values))
    for station in np.flatnonzero(gaps.any(axis=0)):
        _check(gaps[:, station], stations.ids[station], start, terms)
        known = ~gaps[:, station]
        filled[:, station] = np.interp(hours, hours[known], values[known, station])
    return filled, count


def _check(gaps: NDArray[np.bool_], station: str, start: datetime, terms: Terms) -> None:
    """Refuse to invent most of what a station would have measured."""
    first = place(start, int(gaps.argmax()), station)
    if gaps.all():
        raise _missing(f"there is no value at all, the first {first}: leave the station out")
    share = gaps.mean()
    if share > terms.max_missing:
        limit = f"at most {terms.max_missing:.0%} are interpolated"
        raise _missing(f"{share:.0%} of the values are missing, the first {first}; {limit}: leave the station out")
    begin, length = longest_run(gaps)
    if length > terms.max_gap:
        where, limit = place(start, begin, station), f"at most {terms.max_gap} are interpolated"
        raise _missing(f"{length} hours in a row are missing, the first {where}; {limit}: leave the station out")


def longest_run(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """Where the first of the longest runs of True begins, and its length; (0, 0) where nothing is True."""
    longest = max(runs(flags), key=lambda run: run[1] - run[0], default=(0, 0))
    return longest[0], longest[1] - longest[0]


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where the runs of True begin, and where they end: the first place behind each."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _missing(detail: str) -> UndecodableInput:
    return UndecodableInput("missing_values", detail)
