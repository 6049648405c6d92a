"""Where a moment stands in its day, week, month and year: the marks that weather repeats by."""

import torch
from torch import Tensor

# The calendar repeats after 400 years; days are counted from 0000-03-01, so that a leap day ends its year.
DAYS_OF_ERA = 146_097
EPOCH = 719_468  # 1970-01-01
THURSDAY = 3  # its weekday
MARCH = 59  # days before it, in a year without a leap day
MARCH_TO_DECEMBER = 306


def time_marks(hours: Tensor) -> Tensor:
    """Hours since 1970-01-01T00 UTC, integers (...) -> (..., 4), float32, each from -0.5 to 0.5.

    hour / 23, weekday / 6 (Monday 0), (day - 1) / 30 and (day of the year - 1) / 365, all minus 0.5; the proleptic
    Gregorian calendar, exact at any date.
    """
    days = hours.div(24, rounding_mode="floor")
    day, day_of_year = dates(days)
    fields = (hours % 24, (days + THURSDAY) % 7, day, day_of_year)
    spans = (23, 6, 30, 365)
    return torch.stack([field.double() / span - 0.5 for field, span in zip(fields, spans, strict=True)], dim=-1).float()


def dates(days: Tensor) -> tuple[Tensor, Tensor]:
    """Days since 1970-01-01 -> (day of the month, day of the year), both from 0 (Hinnant 2014, civil_from_days)."""
    day_of_era = (days + EPOCH) % DAYS_OF_ERA
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day = day_of_era - (365 * year + year // 4 - year // 100)  # since the first of March
    month = (5 * day + 2) // 153
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    day_of_year = torch.where(day < MARCH_TO_DECEMBER, day + MARCH + leap, day - MARCH_TO_DECEMBER)
    return day - (153 * month + 2) // 5, day_of_year
