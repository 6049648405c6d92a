import random

import pytest

from service.fair_share import FairShare


def turns(share: FairShare[str], costs: dict[str, float], count: int) -> list[str]:
    taken = []
    for _ in range(count):
        key = share.next(costs)
        share.charge(key, costs)
        taken.append(key)
    return taken


def test_equal_costs_take_turns() -> None:
    assert turns(FairShare(), {"a": 1.0, "b": 1.0, "c": 1.0}, 6) == ["a", "b", "c"] * 2


def test_unknown_costs_take_turns_too() -> None:
    assert turns(FairShare(), {"a": 0.0, "b": 0.0}, 4) == ["a", "b"] * 2


@pytest.mark.parametrize("weights", [{}, {"a": 3.0}, {"b": 15.0, "c": 2.0}])
def test_time_is_shared_by_weight_whatever_the_costs(weights: dict[str, float]) -> None:
    rng = random.Random(1)
    share: FairShare[str] = FairShare(weights)
    spent = dict.fromkeys("abc", 0.0)
    for _ in range(20_000):
        costs = {key: rng.uniform(0.5, 1.5) * scale for key, scale in (("a", 1.0), ("b", 7.0), ("c", 0.3))}
        key = share.next(costs)
        share.charge(key, costs)
        spent[key] += costs[key]
    total = sum(weights.get(key, 1.0) for key in spent)
    for key, seconds in spent.items():
        assert seconds / sum(spent.values()) == pytest.approx(weights.get(key, 1.0) / total, rel=0.1)


def test_who_was_away_is_owed_nothing_for_it() -> None:
    share: FairShare[str] = FairShare()
    assert turns(share, {"a": 1.0}, 100) == ["a"] * 100
    assert turns(share, {"a": 1.0, "b": 1.0}, 10).count("b") == 5


def test_who_took_longer_than_predicted_waits_for_it() -> None:
    share: FairShare[str] = FairShare()
    costs = {"a": 1.0, "b": 1.0}
    assert turns(share, costs, 1) == ["a"]
    share.settle("a", 3.0)
    assert turns(share, costs, 5) == ["b", "b", "b", "b", "a"]
