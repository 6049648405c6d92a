"""Whose batch is next: first between the priorities, then between the models of one."""

from collections.abc import Callable
from dataclasses import dataclass

from service.lane import Lane
from service.priority import Priority
from service.priority_share import Choice, PriorityShare

Cost = Callable[[Lane], float]


@dataclass(frozen=True)
class Turn:
    """A lane that may go, and among whom it was chosen."""

    lane: Lane
    choice: Choice


class Turns:
    """The lanes of all models, which share the engine's time: equally, but for bulk work, which gets the rest."""

    def __init__(self, cost: Cost) -> None:
        self._cost = cost
        self._lanes: dict[Priority, dict[str, Lane]] = {priority: {} for priority in Priority}
        self._share = PriorityShare()

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
        choice = self._share.next({priority: self._costs(lanes) for priority, lanes in self._lanes.items()})
        return Turn(self._lanes[choice.priority][choice.claimant], choice) if choice else None

    def take(self, turn: Turn) -> None:
        self._share.charge(turn.choice)

    def settle(self, turn: Turn, seconds: float) -> None:
        """The turn took so long in truth."""
        self._share.settle(turn.lane.priority, turn.lane.model, seconds - turn.choice.cost)

    def _costs(self, lanes: dict[str, Lane]) -> dict[str, float]:
        return {model: self._cost(lane) for model, lane in lanes.items() if len(lane)}
