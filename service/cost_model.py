"""How long a batch will take, or a file, learned by its size from those before it: numbers in its views, or bytes."""

import math

MEMORY = 0.95  # weight that the past keeps at every observation: about the last twenty count
DISTINCT = 1e-3  # variance of sizes, relative to the square of their mean, below which a slope would be noise


class CostModel:
    """seconds = a + b n, by least squares with exponentially fading weights; a and b are never negative.

    While batches are all of one size, the line keeps its shape and follows their height; at first it is proportional.
    Nothing seen costs nothing.
    """

    def __init__(self) -> None:
        self._weight = self._n = self._s = self._nn = self._ns = 0.0
        self._start, self._slope = 0.0, 0.0
        self._fits = False

    def observe(self, n: int, seconds: float) -> None:
        """One of size n took so long."""
        self._weight = MEMORY * self._weight + 1
        self._n = MEMORY * self._n + n
        self._s = MEMORY * self._s + seconds
        self._nn = MEMORY * self._nn + n * n
        self._ns = MEMORY * self._ns + n * seconds
        variance = self._weight * self._nn - self._n**2
        distinct = variance > DISTINCT * self._n**2
        self._start, self._slope = self._fitted(variance) if distinct else self._scaled()
        self._fits |= distinct

    @property
    def usual_s(self) -> float:
        """Mean time of those lately, whatever their size."""
        return self._s / self._weight if self._weight else 0.0

    def seconds(self, n: float) -> float:
        """Predicted time of one of size n."""
        return self._start + self._slope * n

    def within(self, seconds: float) -> float:
        """The largest size that, without what every batch costs, takes no longer; infinite until known."""
        return seconds / self._slope if self._fits and self._slope else math.inf

    def _fitted(self, variance: float) -> tuple[float, float]:
        slope = (self._weight * self._ns - self._n * self._s) / variance
        start = (self._s - slope * self._n) / self._weight
        if slope < 0:
            return self._s / self._weight, 0.0
        return (start, slope) if start >= 0 else (0.0, self._ns / self._nn)

    def _scaled(self) -> tuple[float, float]:
        expected = self._start * self._weight + self._slope * self._n
        if not expected:
            return (0.0, self._s / self._n) if self._n else (self.usual_s, 0.0)
        return self._start * self._s / expected, self._slope * self._s / expected
