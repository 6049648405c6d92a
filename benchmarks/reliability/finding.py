"""What a proof finds: a figure, and the mark that it has to meet."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """at_least, at_most: the pass mark; without either the figure is told and judged by nobody. NaN meets no mark."""

    measured: str
    figure: float
    at_most: float = math.inf
    at_least: float = -math.inf

    @property
    def is_judged(self) -> bool:
        return math.isfinite(self.at_most) or math.isfinite(self.at_least)

    @property
    def passed(self) -> bool:
        return not self.is_judged or self.at_least <= self.figure <= self.at_most

    @property
    def mark(self) -> str:
        if self.at_least == self.at_most:
            return f"= {self.at_most:g}"
        bounds = [f">= {self.at_least:g}"] if math.isfinite(self.at_least) else []
        bounds += [f"<= {self.at_most:g}"] if math.isfinite(self.at_most) else []
        return " and ".join(bounds)


def exactly(measured: str, figure: float, expected: float = 0) -> Finding:
    return Finding(measured, figure, expected, expected)
