"""The server's end of one engine process: batches out, rows in, and a watch on whether it still answers."""

import asyncio
import pickle
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from models.postprocessors.base import Row, rows_of, samples
from preprocessors.base import Array
from service.engine.arena import Arena, Layout, Slot
from service.engine.base import EngineOptions, Load, Loaded, ModelInfo, WorkerLost
from service.engine.channel import CHUNK, Kind, Unframer, arrived, encoded
from service.engine.error_wire import from_wire
from service.engine.expectations import Expectations, Work
from service.engine.fork_server import ForkedProcess, ForkServer
from service.engine.order import written_order
from service.engine.question import Question
from service.engine.watch import Watch
from service.settings import Settings

END_PATIENCE_S = 5.0


class EngineLink:
    """One engine process from its start to its end. Belongs to the running event loop.

    loaded: what it has loaded, once it has. lost: why it can no longer be used, once it cannot. Every answer comes in
    the order of the questions, so the first of those that are open is the one to wait for; models that are added come
    when they are ready. memory: bytes in use by kind, as of the last heartbeat. expectations: learn from it.
    """

    def __init__(self, fork_server: ForkServer, options: EngineOptions, expectations: Expectations) -> None:
        self._options, self._expectations = options, expectations
        self._loop = asyncio.get_running_loop()
        self.loaded: asyncio.Future[Loaded] = self._loop.create_future()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.answered_at: float | None = None
        self.start_s = 1.0
        self.memory: Mapping[str, float] = {}
        self._open: deque[Question] = deque()
        self._pinged = False
        self._additions: dict[str, asyncio.Future[ModelInfo]] = {}
        self._first_since = 0.0
        self._slots = [Slot(Arena(), Arena()) for _ in range(options.depth)]
        self._free = deque(range(options.depth))
        self._unframer = Unframer()
        self._socket, self.process = self._fork(fork_server)
        self._loop.add_reader(self._socket, self._receive)
        self._heartbeat: asyncio.TimerHandle | None = None
        self.watch = Watch(self._first, lambda: self.process.pid, self._hung)

    @property
    def busy(self) -> bool:
        """Whether it owes an answer: then it is watched."""
        return bool(self._open)

    @property
    def ready(self) -> bool:
        return not self.lost.done() and self.loaded.done() and self.loaded.exception() is None

    async def load(self, function: Load, settings: Settings) -> Loaded:
        """What the engine has loaded and warmed up. Raises what loading raised, and WorkerLost."""
        began = time.monotonic()
        self._send(Kind.LOAD, written_order(function, settings))
        loaded = await asyncio.shield(self.loaded)
        self.start_s = time.monotonic() - began
        self._beat()
        return loaded

    def submit(
        self, model: str, views: Sequence[Array], settled: Callable[[], None] | None = None
    ) -> "asyncio.Future[list[Row]]":
        """Hand a batch over; no more than `depth` at a time, each until it is settled. Raises WorkerLost, and TypeError
        for what is no array; then it never will be."""
        if not self.ready:
            raise WorkerLost("the engine is not running")
        number = self._free.popleft()
        try:
            layout = self._slots[number].inbox.write({"views": views})
        except BaseException:
            self._free.append(number)
            raise
        work = Work(model, sum(view.size for view in views))
        return self._ask(Kind.RUN, orjson.dumps((number, model, layout["views"])), settled=settled, work=work)

    def add(self, key: str, source: str) -> asyncio.Future[ModelInfo]:
        """Load one more model, while others run. Raises WorkerLost. Whoever gives it up need not remove it."""
        if not self.ready:
            raise WorkerLost("the engine is not running", self.start_s)
        future = self._additions[key] = self._loop.create_future()
        self._send(Kind.ADD, orjson.dumps((key, source)))
        return future

    def warm_up(self, key: str, size: int) -> asyncio.Future[None]:
        """Run a batch that means nothing; the first one may take as long as a start."""
        return self._ask(Kind.WARM_UP, orjson.dumps((key, size)), self._options.start_timeout_s)

    def remove(self, key: str) -> asyncio.Future[None]:
        return self._ask(Kind.REMOVE, orjson.dumps((key,)))

    def drop(self, key: str) -> None:
        """The same where nobody waits for it."""
        self.remove(key).add_done_callback(lambda answer: answer.exception())

    def ping(self) -> asyncio.Future[None]:
        return self._ask(Kind.PING, patience_s=self._options.stall_s)

    async def drain(self) -> None:
        """Wait until everything is answered, or will never be."""
        if self._open:
            await asyncio.wait([question.answer for question in self._open])

    async def end(self) -> int | None:
        """Stop the process if it still runs: by itself when it has nothing left to do, by force when it is lost or
        loading. Returns its exit code; None where nobody knows. Raises TimeoutError where it cannot be stopped."""
        forced = not self.ready
        self.lose("the engine was stopped")
        if self.process.pid is None:  # it is not forked yet, and will end as soon as it is
            self.process.abandon()
            return None
        if forced:
            self.process.kill()
        try:
            return await self.process.wait(END_PATIENCE_S)
        except TimeoutError:
            self.process.kill()
            return await self.process.wait(END_PATIENCE_S)

    def lose(self, reason: str) -> None:
        """Give the process up: whatever waits for it fails with WorkerLost. The first reason counts."""
        if self.lost.done():
            return
        self.lost.set_result(reason)
        self.watch.end()
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()  # the process ends when it reads this
        for slot in self._slots:
            slot.close()
        waiting: list[asyncio.Future[Any]] = [self.loaded, *self._additions.values()]
        while self._open:
            waiting.append(self._close_first())
        for future in waiting:
            if not future.done():
                future.set_exception(WorkerLost(reason, self.start_s))
                future.exception()  # it may be that nobody waits any more

    def _fork(self, fork_server: ForkServer) -> tuple[socket.socket, ForkedProcess]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        arenas = (arena.fd for slot in self._slots for arena in (slot.inbox, slot.outbox))
        with theirs:
            try:
                return ours, fork_server.fork([theirs.fileno(), *arenas])
            except BaseException:
                ours.close()
                for slot in self._slots:
                    slot.close()
                raise

    def _ask(
        self,
        kind: Kind,
        body: bytes = b"",
        limit_s: float | None = None,
        patience_s: float | None = None,
        settled: Callable[[], None] | None = None,
        work: Work | None = None,
    ) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        if self.lost.done():
            future.set_exception(WorkerLost(self.lost.result(), self.start_s))
            return future
        if not self._open:
            self._first_since = time.monotonic()
        patience_s = patience_s or self._expectations.patience_s(work)
        self._open.append(Question(future, limit_s or self._options.hang_timeout_s, patience_s, settled, work))
        self.watch.begin()
        self._send(kind, body)
        return future

    def _first(self) -> Question | None:
        return self._open[0] if self._open else None

    def _hung(self, reason: str) -> None:
        self.process.kill()
        self.lose(reason)

    def _send(self, kind: Kind, body: bytes) -> None:
        message = encoded(kind, body)
        try:
            sent = self._socket.send(message)
        except OSError as error:
            return self.lose(f"the engine does not listen ({error})")
        if sent < len(message):  # its buffer holds all that may be open at a time many times over
            self.lose("the engine does not listen")

    def _receive(self) -> None:
        data = arrived(self._socket, CHUNK)
        if data is None:
            return
        if not data:
            return self.lose("the engine process ended")
        for kind, body in self._unframer.feed(data):
            if self.lost.done():  # by what came before
                return
            ANSWERS[kind](self, body)

    def _load_answered(self, body: bytes) -> None:
        try:
            self.loaded.set_result(pickle.loads(body))
        except Exception as error:  # a class that only the engine can import
            self.loaded.set_exception(error)

    def _load_failed(self, body: bytes) -> None:
        self.loaded.set_exception(from_wire(*orjson.loads(body)))

    def _rows_came(self, body: bytes) -> None:
        number, layout = orjson.loads(body)
        rows = _rows(self._slots[number].outbox, layout)
        self._free.append(number)
        self.answered_at = time.monotonic()
        if (work := self._open[0].work) is not None:
            self._expectations.learn(work, self.answered_at - self._first_since)
        self._settle(lambda future: future.set_result(rows))

    def _error_came(self, body: bytes) -> None:
        number, kind, message = orjson.loads(body)
        self._free.append(number)
        self._settle(lambda future: future.set_exception(from_wire(kind, message)))

    def _pong_came(self, body: bytes) -> None:
        self.memory, self._pinged = orjson.loads(body), False
        self._settle(lambda future: future.set_result(None))

    def _done(self, body: bytes) -> None:
        fault = orjson.loads(body)
        self._settle(lambda future: future.set_exception(from_wire(*fault)) if fault else future.set_result(None))

    def _added(self, body: bytes) -> None:
        key, info = pickle.loads(body)
        future = self._additions.pop(key)
        if future.done():  # nobody waits for it any more
            return self.drop(key)
        try:
            future.set_result(pickle.loads(info))
        except Exception as error:  # a class that only the engine can import
            future.set_exception(error)

    def _not_added(self, body: bytes) -> None:
        key, *fault = orjson.loads(body)
        future = self._additions.pop(key)
        if not future.done():
            future.set_exception(from_wire(*fault))

    def _settle(self, answer: Callable[[asyncio.Future[Any]], None]) -> None:
        future = self._close_first()
        self._first_since = time.monotonic()
        if not future.done():
            answer(future)

    def _close_first(self) -> asyncio.Future[Any]:
        question = self._open.popleft()
        if question.settled is not None:
            question.settled()
        return question.answer

    def _beat(self) -> None:
        """Ask whether it lives, also when it has nothing to do."""
        if not self._pinged:
            self._pinged = True
            self.ping()
        if not self.lost.done():
            self._heartbeat = self._loop.call_later(self._options.heartbeat_s, self._beat)


def _rows(outbox: Arena, layout: Layout) -> list[Row]:
    """The rows that an engine wrote as columns. Copied, since the next run will write over them."""
    columns = {name: [outbox.array(block).copy() for block in blocks] for name, blocks in layout.items()}
    return rows_of({name: [row for block in blocks for row in samples(block)] for name, blocks in columns.items()})


ANSWERS: dict[Kind, Callable[[EngineLink, bytes], None]] = {
    Kind.LOADED: EngineLink._load_answered,
    Kind.FAILED: EngineLink._load_failed,
    Kind.ROWS: EngineLink._rows_came,
    Kind.ERROR: EngineLink._error_came,
    Kind.PONG: EngineLink._pong_came,
    Kind.DONE: EngineLink._done,
    Kind.ADDED: EngineLink._added,
    Kind.NOT_ADDED: EngineLink._not_added,
}
