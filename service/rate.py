"""How often somebody may come."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

PERIODS_S = {"s": 1, "min": 60, "h": 3600}


@dataclass(frozen=True)
class Rate:
    """count: requests in each period, and at once after a pause."""

    count: int
    period_s: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Such as 100/s, 10/min, 1000/h."""
        count, _, period = text.partition("/")
        return cls(int(count), PERIODS_S[period])


class TokenBucket:
    """A full bucket of `rate.count` tokens that refills evenly over the period."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._tokens, self._seen = float(rate.count), clock()

    def take(self) -> float:
        """Take a token and return 0, or, where there is none, return the seconds until there will be one."""
        now = self._clock()
        per_second = self._rate.count / self._rate.period_s
        self._tokens = min(self._rate.count, self._tokens + (now - self._seen) * per_second)
        self._seen = now
        if self._tokens < 1:
            return (1 - self._tokens) / per_second
        self._tokens -= 1
        return 0.0
