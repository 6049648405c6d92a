"""What the answers of an engine take, learned from those before."""

from collections import defaultdict
from typing import NamedTuple

from service.cost_model import CostModel
from service.engine.base import EngineOptions


class Work(NamedTuple):
    """numbers: in all views of a batch, since views of some inputs are a hundred times as large as others."""

    model: str
    numbers: int


class Expectations:
    """Outlast the engine's process: the next one is as fast."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._costs: defaultdict[str, CostModel] = defaultdict(CostModel)

    def learn(self, work: Work, seconds: float) -> None:
        self._costs[work.model].observe(work.numbers, seconds)

    def forget(self, model: str) -> None:
        self._costs.pop(model, None)

    def seconds(self, work: Work) -> float:
        """0 where nobody knows."""
        return self._costs[work.model].seconds(work.numbers) if work.model in self._costs else 0.0

    def patience_s(self, work: Work | None) -> float:
        """With an engine that owes this and computes nothing. None: something that no batch tells of."""
        options = self._options
        if work is None or work.model not in self._costs:
            return options.hang_timeout_s
        return min(options.hang_timeout_s, max(options.stall_s, options.tolerance * self.seconds(work)))
