"""Times as they are written, on the one clock that histories have: UTC, hour by hour."""

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from preprocessors.histories.refusal import HOUR, damaged, iso, quoted

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
HOUR_US = HOUR // MICROSECOND
FIRST_YEAR, LAST_YEAR = 1850, 2150  # thermometers are read by the hour since about then
HOURLY = ("h", "hour", "hourly", "1h", "pt1h", "60min")
OFFSETS = "times without an offset are UTC; where clocks change, write local times with theirs, or send UTC"

Microseconds = NDArray[np.int64]


def parse_time(text: object) -> datetime:
    """ISO 8601 -> UTC. Without an offset it is UTC already, whatever the clocks of the stations say."""
    if not isinstance(text, str):
        raise _no_time(text)
    try:
        time = datetime.fromisoformat(text.strip())
        time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _no_time(text) from None
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise damaged(f"the time {quoted(text)} is not within the years {FIRST_YEAR} to {LAST_YEAR}")
    return time


def _no_time(text: object) -> Exception:
    expected = "2026-11-20T00:00:00Z or 2026-11-20T01:00+01:00"
    return damaged(f"the time is {quoted(text)}, expected ISO 8601 such as {expected}", "write it in this way")


def check_hourly(frequency: object) -> None:
    """A number is a count of hours."""
    if isinstance(frequency, str) and frequency.strip().lower() in HOURLY:
        return
    if isinstance(frequency, int | float) and not isinstance(frequency, bool) and frequency == 1:
        return
    raise damaged(f"the frequency is {quoted(frequency)}, expected 'H', one hour", "resample it to full hours")


def microseconds(time: datetime) -> int:
    return (time - EPOCH) // MICROSECOND


def time_of(count: int) -> datetime:
    """From microseconds after 1970."""
    try:
        time = EPOCH + count * MICROSECOND
    except OverflowError:
        time = EPOCH.replace(year=1)
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise damaged(f"a time is not within the years {FIRST_YEAR} to {LAST_YEAR}")
    return time


def hour_rows(times: Microseconds) -> tuple[datetime, NDArray[np.int64]]:
    """The earliest of any times, in any order, and how many hours after it each of them is."""
    start = time_of(int(times.min()))
    time_of(int(times.max()))
    after = times - times.min()
    off = after % HOUR_US != 0
    if off.any():
        wrong = iso(time_of(int(times[off.argmax()])))
        raise damaged(f"the time {wrong} is no whole number of hours after {iso(start)}", "resample it to full hours")
    rows = after // HOUR_US
    apart = int(np.gcd.reduce(rows))
    if apart > 1 and len(np.unique(rows)) > 2:  # between two rows there may simply be a gap
        raise damaged(f"its rows are {apart} hours apart, expected one hour", "send hourly values")
    return start, rows
