"""A watch on a process for as long as it owes an answer."""

import asyncio
from collections.abc import Callable

from service.engine.patience import LOOK_S, Patience
from service.engine.question import Question


class Watch:
    """first: the question that is to be answered next, if any. pid: of whom. hung: is told why, once.

    What is asked costs no more than a look at a flag; a process that owes nothing is not looked at.
    """

    def __init__(
        self, first: Callable[[], Question | None], pid: Callable[[], int | None], hung: Callable[[str], None]
    ) -> None:
        self._first, self._pid, self._hung = first, pid, hung
        self._question: Question | None = None
        self._patience = Patience(None)
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """A question has been asked."""
        if self._timer is None:
            self._next()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    @property
    def overdue(self) -> str | None:
        """Why the process does not seem to work: it takes well longer than expected."""
        question, waited_s = self._question, self._patience.waited_s
        if question is None or question.answer.done() or waited_s < question.patience_s:
            return None
        return f"the engine has not answered for {waited_s:.1f} s, and should have within {question.patience_s:.1f} s"

    def _next(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._timer, question = None, self._first()
        if question is not self._question:
            self._question, self._patience = question, Patience(self._pid())
        elif question is not None:
            self._patience.look()
        reason = question and _why_hung(question, self._patience)
        if reason:
            self._hung(reason)
        elif question:
            self._next()


def _why_hung(question: Question, patience: Patience) -> str | None:
    if patience.waited_s >= question.limit_s:
        return f"the engine hung: it did not answer for {question.limit_s:g} s"
    if patience.idle_s >= question.patience_s:
        return f"the engine hung: it owes an answer, and has computed nothing for {question.patience_s:.1f} s"
    return None
