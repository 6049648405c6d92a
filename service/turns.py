"""Whose batch is next: first between the priorities, then between the models of one."""

from collections.abc import Callable
from dataclasses import dataclass

from service.fair_share import FairShare
from service.lane import Lane
from service.priority import SHARES, Priority

Cost = Callable[[Lane], float]


@dataclass(frozen=True)
class Turn:
    """A lane that may go, and what the next batch of everybody who waits would cost, in seconds."""

    lane: Lane
    by_model: dict[str, float]
    by_priority: dict[Priority, float]

    @property
    def cost(self) -> float:
        return self.by_model[self.lane.model]


class Turns:
    """The lanes of all models, which share the engine's time: equally, but for bulk work, which gets the rest."""

    def __init__(self, cost: Cost) -> None:
        self._cost = cost
        self._lanes: dict[Priority, dict[str, Lane]] = {priority: {} for priority in Priority}
        self._models: dict[Priority, FairShare[str]] = {priority: FairShare() for priority in Priority}
        self._priorities: FairShare[Priority] = FairShare(SHARES)

    def lane(self, model: str, priority: Priority) -> Lane:
        lanes = self._lanes[priority]
        if model not in lanes:
            lanes[model] = Lane(model, priority)
        return lanes[model]

    def forget(self, model: str) -> None:
        """It will not be asked for again."""
        for lanes in self._lanes.values():
            lanes.pop(model, None)

    def next(self) -> Turn | None:
        """Who is next, or None where nobody waits. It counts once it is taken."""
        costs = {priority: self._costs(priority) for priority in Priority}
        models = {priority: self._models[priority].next(waiting) for priority, waiting in costs.items() if waiting}
        if not models:
            return None
        by_priority = {priority: costs[priority][model] for priority, model in models.items()}
        chosen = self._priorities.next(by_priority)
        return Turn(self._lanes[chosen][models[chosen]], costs[chosen], by_priority)

    def take(self, turn: Turn) -> None:
        self._priorities.charge(turn.lane.priority, turn.by_priority)
        self._models[turn.lane.priority].charge(turn.lane.model, turn.by_model)

    def settle(self, turn: Turn, seconds: float) -> None:
        """The turn took so long in truth."""
        self._priorities.settle(turn.lane.priority, seconds - turn.cost)
        self._models[turn.lane.priority].settle(turn.lane.model, seconds - turn.cost)

    def _costs(self, priority: Priority) -> dict[str, float]:
        return {model: self._cost(lane) for model, lane in self._lanes[priority].items() if len(lane)}
