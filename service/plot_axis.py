"""The axes of a plot: affine maps from values and hours onto pixels, with ticks at round numbers."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_STEPS = (1, 2, 3, 6, 12, *(24 << doubling for doubling in range(20)))  # hours
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # strftime is localised
MAX_TIME_TICKS = 6
VALUE_TICKS = 5  # about so many
ROUND = (1, 2, 5, 10)
LEAST_SPREAD = 1e-6  # of a value; below, digits of tick labels would be noise


@dataclass(frozen=True)
class Axis:
    """`low` is drawn at pixel `first`, `high` at `last`. ticks: values, and what is written at them."""

    low: float
    high: float
    first: float
    last: float
    ticks: tuple[tuple[float, str], ...] = ()

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return self.first + (value - self.low) / (self.high - self.low) * (self.last - self.first)


def value_axis(low: float, high: float, first: float, last: float) -> Axis:
    """From `low` to `high`, both finite, and a little more on both sides; they may be equal."""
    middle = (low + high) / 2
    half = 0.54 * (high - low)
    if half <= LEAST_SPREAD * abs(middle):
        half = abs(middle) / 10 or 1.0
    low, high = middle - half, middle + half
    step = _round_step((high - low) / VALUE_TICKS)
    decimals = max(0, -math.floor(math.log10(step)))
    counts = range(math.ceil(low / step), math.floor(high / step) + 1)
    ticks = tuple((count * step, _signed(f"{count * step:.{decimals}f}")) for count in counts)
    return Axis(low, high, first, last, ticks)


def time_axis(start: datetime, hours: int, first: float, last: float) -> Axis:
    """Hours 0 to `hours` after `start`, one at least; ticks at round hours or days, UTC."""
    step = next(step for step in TIME_STEPS if hours / step <= MAX_TIME_TICKS)
    offset = (start - EPOCH) / HOUR
    counts = range(math.ceil(offset / step), math.floor((offset + hours) / step) + 1)
    ticks = tuple((count * step - offset, _clock(EPOCH + count * step * HOUR)) for count in counts)
    return Axis(0, hours, first, last, ticks)


def day(time: datetime) -> str:
    return f"{time.day} {MONTHS[time.month - 1]}"


def _clock(time: datetime) -> str:
    return f"{time:%H:%M}" if time.hour else day(time)


def _round_step(rough: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not less than `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * digit for digit in ROUND if power * digit >= rough * (1 - 1e-9))


def _signed(number: str) -> str:
    return number.replace("-", "\N{MINUS SIGN}")
