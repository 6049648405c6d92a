"""The server's end of one decode worker: files out, samples in."""

import asyncio
import logging
import pickle
import socket
from typing import Any

from preprocessors.base import PayloadError, Preprocessor, Sample
from service.answer_reader import AnswerReader
from service.decode_worker import TAKEN, Preparation
from service.engine.arena import Arena
from service.engine.channel import arrived
from service.engine.fork_server import ForkServer
from service.parcel import KEPT, NOTICE, packed, unpacked_answer

END_PATIENCE_S = 5.0

log = logging.getLogger(__name__)


class DecodeWorkerLost(Exception):
    """The worker ended before it answered. taken: it had the file by then. exitcode: None where nobody knows."""

    def __init__(self, taken: bool, exitcode: int | None) -> None:
        super().__init__(f"a decode worker ended (exit code {exitcode})")
        self.taken, self.exitcode = taken, exitcode

    @property
    def by_its_file(self) -> bool:
        """Not by the end of the process it was forked from, which takes all workers with it."""
        return self.taken and self.exitcode is not None


class DecodeLink:
    """One worker from its start to its end. It does one thing at a time. Belongs to the running event loop.

    Files and samples lie in memory that both share; only notices of eight bytes go through the socket.
    """

    def __init__(self, fork_server: ForkServer) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        self._inbox, self._outbox, mark = Arena(), Arena(), Arena()
        self._taken = mark.array(TAKEN)
        self._answer: asyncio.Future[Any] = self._loop.create_future()
        self._most_bytes = 0
        self._reader = AnswerReader()
        self._closed = False
        try:
            self.process = fork_server.fork([theirs.fileno(), mark.fd, self._inbox.fd, self._outbox.fd])
        except BaseException:
            self._close()
            raise
        finally:
            theirs.close()
            mark.close()
        self._loop.add_reader(self._socket, self._receive)

    @property
    def closed(self) -> bool:
        """Whether the worker has ended, or is about to."""
        return self._closed

    async def start(self, preparation: Preparation) -> None:
        """Returns once it has imported what decodes. Raises DecodeWorkerLost."""
        self._most_bytes = preparation.memory_bytes
        await self._ask(preparation)

    async def decode(self, preprocessor: Preprocessor[Any], payload: bytes, options: Any) -> Sample | PayloadError:
        """What came of the file. Raises DecodeWorkerLost. Of use no more once this is cancelled: kill it."""
        self._reader = AnswerReader(type(preprocessor).__module__, self._most_bytes)
        return await self._ask((preprocessor.packed, options, pickle.PickleBuffer(payload)))

    def kill(self) -> None:
        """At once, whatever it does."""
        if not self._closed:
            self._hang_up()
        self.process.kill()
        if self.process.pid is None:  # it is not forked yet, and will end as soon as it is
            self.process.abandon()

    async def ended(self) -> int | None:
        """Its exit code, negative for a signal; None where nobody knows."""
        try:
            return await self.process.wait(END_PATIENCE_S)
        except TimeoutError:
            return None

    async def _ask(self, order: Any) -> Any:
        try:
            return await self._sent(order)
        except OSError:
            raise DecodeWorkerLost(bool(self._taken[0]), await self.ended()) from None

    def _sent(self, order: Any) -> asyncio.Future[Any]:
        """The answer to come; OSError where the worker ends. Raises it where it has ended."""
        if self._closed:
            raise ConnectionResetError
        self._answer = self._loop.create_future()
        self._socket.send(packed(self._inbox, order))  # eight bytes, and those before were read: there is room
        return self._answer

    def _receive(self) -> None:
        notice = arrived(self._socket, NOTICE.size)  # sent in one piece, and too short to be cut
        if notice is None:
            return
        if not notice:
            self._hang_up()
        elif not self._answer.done():
            self._take(notice)

    def _take(self, notice: bytes) -> None:
        try:
            answer = unpacked_answer(self._outbox, notice, self._reader)
        except Exception as error:
            log.error("what a decode worker sent is not read, and it is stopped: %s", error)
            return self.kill()
        self._taken[0] = 0  # this file has done no harm: what ends the worker from now on is not its doing
        self._answer.set_result(answer)
        for arena in (self._inbox, self._outbox):
            arena.trim(KEPT)

    def _hang_up(self) -> None:
        self._loop.remove_reader(self._socket)
        self._close()

    def _close(self) -> None:
        """Whatever waits for it fails."""
        self._closed = True
        self._socket.close()
        self._inbox.close()
        self._outbox.close()
        if not self._answer.done():
            self._answer.set_exception(ConnectionResetError())
            self._answer.exception()  # it may be that nobody waits
