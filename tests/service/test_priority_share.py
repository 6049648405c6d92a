import pytest

from service.priority import SHARES, Priority
from service.priority_share import Choice, PriorityShare

WAITING = {Priority.INTERACTIVE: {"film": 0.2, "photo": 0.01}, Priority.BULK: {"film": 0.2, "photo": 0.01}}


def turns(share: PriorityShare, seconds: float) -> list[Choice]:
    taken: list[Choice] = []
    while seconds > 0:
        choice = share.next(WAITING)
        assert choice is not None
        share.charge(choice)
        taken.append(choice)
        seconds -= choice.cost
    return taken


def spent(choices: list[Choice], *, priority: Priority, claimant: str) -> float:
    return sum(choice.cost for choice in choices if (choice.priority, choice.claimant) == (priority, claimant))


def test_time_is_shared_between_priorities_and_equally_within_one() -> None:
    taken = turns(PriorityShare(), 100)
    shares = sum(SHARES.get(priority, 1.0) for priority in Priority)
    for priority in Priority:
        expected = 100 * SHARES.get(priority, 1.0) / shares / 2
        for claimant in ("film", "photo"):
            assert spent(taken, priority=priority, claimant=claimant) == pytest.approx(expected, rel=0.05)


def test_what_cost_more_is_paid_by_who_had_it() -> None:
    share = PriorityShare()
    share.charge(share.next(WAITING) or pytest.fail("somebody waits"))
    share.settle(Priority.INTERACTIVE, "photo", 1.0)
    taken = turns(share, 0.9)
    assert spent(taken, priority=Priority.INTERACTIVE, claimant="photo") < 0.1


def test_asking_who_is_next_changes_nothing() -> None:
    share = PriorityShare()
    assert share.next(WAITING) == share.next(WAITING)


def test_nobody_is_next_where_nobody_waits() -> None:
    assert PriorityShare().next({}) is None
    assert PriorityShare().next({Priority.BULK: {}}) is None
