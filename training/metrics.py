"""How good a model is on one split, whatever it predicts."""

from typing import Any, Protocol, TypeVar


class Metrics(Protocol):
    """summary: values by name, the one to show first. details: for metrics.json."""

    @property
    def summary(self) -> dict[str, float]: ...
    @property
    def details(self) -> dict[str, Any]: ...


MetricsT = TypeVar("MetricsT", bound=Metrics)
