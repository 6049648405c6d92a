"""Dynamic batching: views that wait while the engine is busy share its next forward pass.

A batch is cut only when the engine can take it, so nothing waits for a timer: a lone request runs at once, and under
load the queue fills the next batch by itself.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

from models.postprocessors.base import Row
from preprocessors.base import Array
from service.cost_model import CostModel
from service.engine.base import Engine, WorkerLost
from service.lane import Item, Lane, Prediction, Submission
from service.priority import Priority
from service.turns import Turn, Turns

# A batch stands ready behind one that is shorter than this. Behind a longer one the gap is nothing beside it, and what
# would stand there grows, gives way to what is urgent, and is not computed for those who leave.
PREFETCH_S = 0.02

# Samples of a batch that take longer are left for the next: on a CPU a large batch gains little, and whoever comes
# meanwhile would wait for all of it. Half as long would cost a model that takes 20 ms to begin a sixth of its goodput.
LONGEST_BATCH_S = 0.1

OnBatch = Callable[[str, int, float], None]
Outcome = Callable[[], None]  # tells those who wait


class Scheduler:
    """What waits for one engine. Models and priorities share its time, but never a batch.

    costs: what batches of each model take, by the numbers in them, learned from those before.
    max_batch_elements: numbers in all views of a batch, so that large views come in small batches.
    on_batch: told the model, size and seconds of every batch that succeeded.
    """

    def __init__(
        self,
        engine: Engine,
        max_batch_size: int,
        max_batch_elements: int = 1 << 26,
        on_batch: OnBatch = lambda model, size, seconds: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = engine
        self.max_batch_size, self.max_batch_elements = max_batch_size, max_batch_elements
        self.costs: defaultdict[str, CostModel] = defaultdict(CostModel)
        self._on_batch, self._clock = on_batch, clock
        self._turns = Turns(self._cost)
        self._running: set[asyncio.Task[None]] = set()
        self._free_since = 0.0
        self._expected_s = 0.0  # of the batch that was cut last
        self._woken = False

    async def submit(
        self,
        model: str,
        views: Sequence[Array],
        priority: Priority = Priority.INTERACTIVE,
        deadline: float = float("inf"),
    ) -> list[Prediction]:
        """Predictions in the order of the views. Cancelling it, or reaching the deadline, takes them from the queue.

        deadline: on the monotonic clock. Raises DeadlineExceeded, WorkerLost, OutOfMemory for what does not fit even
        alone, and what the model raised for a view that fails alone.
        """
        answer: asyncio.Future[list[Prediction]] = asyncio.get_running_loop().create_future()
        submission = Submission(len(views), answer, self._clock(), deadline)
        lane = self._turns.lane(model, priority)
        lane.add(submission, views)
        self._wake()
        try:
            return await answer
        finally:
            lane.drop(submission)

    @property
    def idle(self) -> bool:
        """Whether the engine has nothing to do."""
        return not self._running

    def forget(self, model: str) -> None:
        """Nothing waits for this model, and nothing will."""
        self._turns.forget(model)
        self.costs.pop(model, None)

    async def close(self) -> None:
        """Wait for the answers to all that waits."""
        self._fill()
        while self._running:
            await asyncio.wait(self._running)

    def _cost(self, lane: Lane) -> float:
        """Of the lane's next batch, in seconds."""
        return self.costs[lane.model].seconds(lane.next_elements(*self._bounds(lane.model)))

    def _bounds(self, model: str) -> tuple[int, float]:
        """Most views of one batch, and most numbers in them."""
        return self.max_batch_size, min(self.max_batch_elements, self.costs[model].within(LONGEST_BATCH_S))

    def _wake(self) -> None:
        """Look for work once those who are about to submit have done so."""
        if not self._woken:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._fill)

    def _fill(self) -> None:
        self._woken = False
        while (turn := self._next()) is not None:
            batch = turn.lane.cut(self._clock(), *self._bounds(turn.lane.model))
            if batch:
                self._turns.take(turn)
                self._expected_s = self.costs[turn.lane.model].seconds(elements(batch))
                task = asyncio.get_running_loop().create_task(self._run(turn, batch))
                self._running.add(task)
                task.add_done_callback(self._running.discard)  # should it be cancelled before it begins

    def _next(self) -> Turn | None:
        """Whose batch to cut now, if any.

        Behind a short running batch only a full one that somebody waits for is worth being prefetched: another would
        grow if it waited, and bulk work must not stand in the way of what comes meanwhile.
        """
        if len(self._running) >= self.engine.depth or (self._running and self._expected_s > PREFETCH_S):
            return None
        turn = self._turns.next()
        if turn is None or not self._running:
            return turn
        full = turn.lane.fills(*self._bounds(turn.lane.model))
        return turn if full and turn.lane.priority is Priority.INTERACTIVE else None

    async def _run(self, turn: Turn, batch: list[Item]) -> None:
        started, outcomes = self._clock(), list[Outcome]()
        try:
            await self._compute(turn.lane.model, batch, outcomes)
        finally:
            self._turns.settle(turn, self._clock() - max(started, self._free_since))
            self._free_since = self._clock()
            self._leave()
            self._fill()  # before the answers are told: the engine computes while they are written
            for told in outcomes:
                told()

    def _leave(self) -> None:
        """The current task has no business with the engine any more."""
        task = asyncio.current_task()
        assert task is not None
        self._running.discard(task)

    async def _compute(self, model: str, batch: list[Item], outcomes: list[Outcome]) -> None:
        """Run a batch; where it fails, run its halves, so that one bad view fails alone."""
        called = self._clock()
        try:
            rows = await self._rows(model, batch)
        except asyncio.CancelledError:
            outcomes.append(partial(_fail, batch, WorkerLost("the engine was stopped")))
            raise
        except WorkerLost as error:
            outcomes.append(partial(_fail, batch, error))
        except Exception as error:
            await self._halve(model, batch, error, outcomes)
        else:
            outcomes.append(self._delivery(model, batch, rows, max(called, self._free_since)))

    async def _halve(self, model: str, batch: list[Item], error: Exception, outcomes: list[Outcome]) -> None:
        if len(batch) == 1:
            outcomes.append(partial(_fail, batch, error))
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if wanted := [item for item in half if item.wanted]:
                await self._compute(model, wanted, outcomes)

    async def _rows(self, model: str, batch: list[Item]) -> list[Row]:
        rows = await self.engine.run(model, [item.view for item in batch])
        if len(rows) != len(batch):
            raise RuntimeError(f"the engine answered a batch of {len(batch)} with {len(rows)} rows")
        return rows

    def _delivery(self, model: str, batch: list[Item], rows: list[Row], started: float) -> Outcome:
        seconds = self._clock() - started
        self.costs[model].observe(elements(batch), seconds)
        self._on_batch(model, len(batch), seconds)
        return partial(_deliver, batch, rows, started, seconds)


def elements(batch: Sequence[Item]) -> int:
    """The numbers (pixels, samples, stations' hours) in all its views: what a batch costs goes by them, since views of
    one model may be of different sizes."""
    return sum(item.view.size for item in batch)


def _deliver(batch: list[Item], rows: list[Row], started: float, seconds: float) -> None:
    for item, row in zip(batch, rows, strict=True):
        queue_ms = 1e3 * (started - item.submission.since)
        item.submission.put(item.place, Prediction(row, queue_ms, 1e3 * seconds, len(batch)))


def _fail(batch: list[Item], error: Exception) -> None:
    for item in batch:
        item.submission.fail(error)
