"""The queue of one model at one priority, from which batches are cut."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from models.postprocessors.base import Row
from preprocessors.base import Array
from service.priority import Priority

SLACK = 16  # views nobody waits for that a queue may keep, besides as many as somebody does


class DeadlineExceeded(Exception):
    """The answer would come too late to be of use."""


@dataclass(frozen=True)
class Prediction:
    """One view's row, and what it cost: time waited, time of the forward pass that it shared, and with how many."""

    row: Row
    queue_ms: float
    forward_ms: float
    batch_size: int


@dataclass(eq=False)
class Submission:
    """The views of one input, which are answered together.

    queued, queued_elements: how many of them wait in a lane, and how many numbers they hold.
    """

    size: int
    answer: asyncio.Future[list[Prediction]]
    since: float
    deadline: float
    queued: int = 0
    queued_elements: int = 0
    predictions: dict[int, Prediction] = field(default_factory=dict)

    def put(self, place: int, prediction: Prediction) -> None:
        self.predictions[place] = prediction
        if len(self.predictions) == self.size and not self.answer.done():
            self.answer.set_result([self.predictions[i] for i in range(self.size)])

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Item(NamedTuple):
    """One view: the `place`-th of its submission."""

    submission: Submission
    place: int
    view: Array

    @property
    def wanted(self) -> bool:
        return not self.submission.answer.done()


class Lane:
    """First come, first served. `len` counts the views that somebody waits for, `elements` the numbers in them."""

    def __init__(self, model: str, priority: Priority) -> None:
        self.model, self.priority = model, priority
        self.elements = 0
        self._queue: deque[Item] = deque()
        self._wanted = 0

    def __len__(self) -> int:
        return self._wanted

    def next_elements(self, max_items: int, max_elements: float) -> float:
        """About how many numbers the next batch would hold: views are alike, or the mean of them will do."""
        return min(self.elements, max_elements, self.elements * max_items / self._wanted)

    def fills(self, max_items: int, max_elements: float) -> bool:
        """Whether the next batch would be full: one more view like these would not go into it."""
        return self._wanted >= max_items or self.elements * (1 + 1 / self._wanted) > max_elements

    def add(self, submission: Submission, views: Sequence[Array]) -> None:
        self._queue.extend(Item(submission, place, view) for place, view in enumerate(views))
        submission.queued, submission.queued_elements = len(views), sum(view.size for view in views)
        self._wanted += submission.queued
        self.elements += submission.queued_elements

    def drop(self, submission: Submission) -> None:
        """Nobody waits for it any more. Its views are let go before long, however long the queue stands still."""
        self._wanted -= submission.queued
        self.elements -= submission.queued_elements
        submission.queued = submission.queued_elements = 0
        if len(self._queue) > 2 * self._wanted + SLACK:
            self._queue = deque(item for item in self._queue if item.wanted)

    def cut(self, now: float, max_items: int, max_elements: float) -> list[Item]:
        """The next batch: the oldest views, less those nobody waits for and those that would come too late.

        A view of more than max_elements goes alone. Empty where nothing is left.
        """
        batch: list[Item] = []
        elements = 0
        while len(batch) < max_items and (item := self._first(now)) is not None:
            elements += item.view.size
            if batch and elements > max_elements:
                break
            self._take_first()
            batch.append(item)
        return batch

    def _take_first(self) -> None:
        item = self._queue.popleft()
        item.submission.queued -= 1
        item.submission.queued_elements -= item.view.size
        self._wanted -= 1
        self.elements -= item.view.size

    def _first(self, now: float) -> Item | None:
        """The oldest view that is worth computing; it stays at the head of the queue."""
        while self._queue:
            item = self._queue[0]
            if item.wanted and now < item.submission.deadline:
                return item
            item.submission.fail(DeadlineExceeded())
            self._queue.popleft()
            self.drop(item.submission)
        return None
