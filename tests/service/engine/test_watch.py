"""A watch on what owes an answer. The system does not tell of the process, so it is taken to compute."""

import asyncio

from service.engine.question import Question
from service.engine.watch import Watch
from tests.service.engine.conftest import run, until


class Debtor:
    """Owes the first of its questions."""

    def __init__(self) -> None:
        self.owed: list[Question] = []
        self.reasons: list[str] = []
        self.watch = Watch(lambda: self.owed[0] if self.owed else None, lambda: None, self.reasons.append)

    def ask(self, limit_s: float, patience_s: float) -> Question:
        question = Question(asyncio.get_running_loop().create_future(), limit_s, patience_s)
        self.owed.append(question)
        self.watch.begin()
        return question


def test_what_takes_well_longer_than_expected_is_overdue_until_it_comes() -> None:
    async def scenario() -> None:
        debtor = Debtor()
        question = debtor.ask(limit_s=1000, patience_s=0.3)
        assert debtor.watch.overdue is None
        await until(lambda: debtor.watch.overdue is not None)
        assert "should have within 0.3 s" in str(debtor.watch.overdue)
        assert debtor.reasons == []
        question.answer.set_result(None)
        assert debtor.watch.overdue is None
        debtor.watch.end()

    run(scenario())


def test_what_takes_longer_than_it_may_has_hung_which_is_told_once() -> None:
    async def scenario() -> None:
        debtor = Debtor()
        debtor.ask(limit_s=0.3, patience_s=1000)
        await until(lambda: bool(debtor.reasons))
        await asyncio.sleep(0.6)
        assert debtor.reasons == ["the engine hung: it did not answer for 0.3 s"]

    run(scenario())


def test_every_question_has_its_own_time() -> None:
    async def scenario() -> None:
        debtor = Debtor()
        for _ in range(4):
            debtor.ask(limit_s=0.9, patience_s=0.9)
            await asyncio.sleep(0.4)
            debtor.owed.pop()
        assert debtor.reasons == []

    run(scenario())
