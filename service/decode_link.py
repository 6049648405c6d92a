"""The server's end of one decode worker: files out, samples in."""

import asyncio
import contextlib
import pickle
import socket
from collections.abc import Sequence
from typing import Any

from preprocessors.base import PayloadError, Preprocessor, Sample
from service.decode_worker import ANSWER, ORDER, TAKEN
from service.engine.arena import Arena
from service.engine.nursery import Nursery

BUFFER = 1 << 20  # bytes read ahead: most samples come in one piece
END_PATIENCE_S = 5.0


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
    """One worker from its start to its end. It does one thing at a time. Belongs to the running event loop."""

    def __init__(self, nursery: Nursery) -> None:
        self._socket, theirs = socket.socketpair()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        arena = Arena()
        self._taken = arena.array(TAKEN)
        try:
            self.process = nursery.fork([theirs.fileno(), arena.fd])
        except BaseException:
            self._socket.close()
            raise
        finally:
            theirs.close()
            arena.close()

    async def start(self, memory_bytes: int, modules: Sequence[str]) -> None:
        """Returns once it has imported what decodes. Raises DecodeWorkerLost."""
        try:
            self._streams = await asyncio.open_unix_connection(sock=self._socket, limit=BUFFER)
        except BaseException:
            self._socket.close()
            raise
        await self._ask((memory_bytes, modules))

    async def decode(self, preprocessor: Preprocessor[Any], payload: bytes, options: Any) -> Sample | PayloadError:
        """What came of the file. Raises DecodeWorkerLost. Of use no more once this is cancelled: kill it."""
        return await self._ask((preprocessor.packed, options), payload)

    def kill(self) -> None:
        """At once, whatever it does."""
        if self._streams is None:
            with contextlib.suppress(OSError):  # it is closed already
                self._socket.shutdown(socket.SHUT_RDWR)  # who starts it closes it
        else:
            self._streams[1].transport.abort()
        self.process.kill()

    async def ended(self) -> int | None:
        """Its exit code, negative for a signal; None where nobody knows."""
        try:
            return await self.process.wait(END_PATIENCE_S)
        except TimeoutError:
            return None

    async def _ask(self, order: Any, payload: bytes = b"") -> Any:
        assert self._streams is not None
        reader, writer = self._streams
        pickled = pickle.dumps(order, pickle.HIGHEST_PROTOCOL)
        self._taken[0] = 0
        try:
            writer.writelines((ORDER.pack(len(pickled), len(payload)), pickled, payload))
            await writer.drain()
            header = await reader.readexactly(ANSWER.size)
            return pickle.loads(await reader.readexactly(*ANSWER.unpack(header)))
        except (OSError, asyncio.IncompleteReadError):
            raise DecodeWorkerLost(bool(self._taken[0]), await self.ended()) from None
