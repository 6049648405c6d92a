"""Who goes next where several share a resource at several priorities: first between these, then within one."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.fair_share import FairShare
from service.priority import SHARES, Priority


@dataclass(frozen=True)
class Choice:
    """Whose turn it is, and what the next turn of everybody who waits would cost, in seconds.

    claimants: those at the chosen one's priority. priorities: of each, the one that would go.
    """

    priority: Priority
    claimant: str
    claimants: Mapping[str, float]
    priorities: Mapping[Priority, float]

    @property
    def cost(self) -> float:
        return self.claimants[self.claimant]


class PriorityShare:
    """Equal shares of time for those of one priority; bulk work gets the rest, and never starves."""

    def __init__(self) -> None:
        self._claimants: dict[Priority, FairShare[str]] = {priority: FairShare() for priority in Priority}
        self._priorities: FairShare[Priority] = FairShare(SHARES)

    def next(self, costs: Mapping[Priority, Mapping[str, float]]) -> Choice | None:
        """Of those who wait, with the cost of each one's next turn; None where nobody does. Changes nothing."""
        chosen = {priority: self._claimants[priority].next(waiting) for priority, waiting in costs.items() if waiting}
        if not chosen:
            return None
        priorities = {priority: costs[priority][claimant] for priority, claimant in chosen.items()}
        priority = self._priorities.next(priorities)
        return Choice(priority, chosen[priority], costs[priority], priorities)

    def charge(self, choice: Choice) -> None:
        """It goes."""
        self._priorities.charge(choice.priority, choice.priorities)
        self._claimants[choice.priority].charge(choice.claimant, choice.claimants)

    def settle(self, priority: Priority, claimant: str, difference: float) -> None:
        """A turn cost so much more than it was charged."""
        self._priorities.settle(priority, difference)
        self._claimants[priority].settle(claimant, difference)
