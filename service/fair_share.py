"""Who goes next where several share a resource: by what each has used, not by how often each was asked."""

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

LEAST_COST = 1e-6  # a cost that is not known yet must not let one claimant go for ever

KeyT = TypeVar("KeyT", bound=Hashable)


class FairShare(Generic[KeyT]):
    """Deficit round robin (Shreedhar and Varghese, 1995), with its rounds computed instead of walked through.

    Each round adds its weight to what every claimant is owed; whoever can first pay its cost from that goes next. Who
    waits is never owed more than its next cost, and who stops waiting is owed nothing.
    """

    def __init__(self, weights: Mapping[KeyT, float] | None = None) -> None:
        self._weights = dict(weights or {})
        self._owed: dict[KeyT, float] = {}

    def next(self, costs: Mapping[KeyT, float]) -> KeyT:
        """Of those who wait, with the cost of each one's next turn; the first of equals. Changes nothing."""
        return min(costs, key=lambda key: self._rounds(key, costs[key]))

    def charge(self, key: KeyT, costs: Mapping[KeyT, float]) -> None:
        """`key` goes: those who wait earn what that took, and it pays."""
        rounds = self._rounds(key, costs[key])
        self._owed = {other: self._owed.get(other, 0.0) + rounds * self._weight(other) for other in costs}
        self._owed[key] -= max(costs[key], LEAST_COST)

    def settle(self, key: KeyT, difference: float) -> None:
        """The turn of `key` cost so much more than it was charged. A refund pays debts, but makes nobody a creditor."""
        if key in self._owed:
            owed = self._owed[key]
            self._owed[key] = min(owed - difference, max(owed, 0.0))

    def _rounds(self, key: KeyT, cost: float) -> float:
        return max(0.0, max(cost, LEAST_COST) - self._owed.get(key, 0.0)) / self._weight(key)

    def _weight(self, key: KeyT) -> float:
        return self._weights.get(key, 1.0)
