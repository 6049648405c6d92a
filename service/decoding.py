"""Decoding in worker processes that may crash, hang or run out of memory: it costs the one file that caused it."""

import asyncio
import logging
from typing import Any, NoReturn, Self

from preprocessors.base import PayloadError, Preprocessor, Sample, TooLarge, UndecodableInput
from service.cpu_timeout import CpuTimeout
from service.decode_link import DecodeLink, DecodeWorkerLost
from service.decode_worker import Preparation, WarmUp
from service.engine.fork_server import ForkServer
from service.worker_starts import WorkerStarts

START_PATIENCE_S = 60.0
KEPT = 16 << 20  # bytes: enough for files of a usual size, little enough for many workers
PAUSE_S = 1.0  # between attempts to start workers that nobody waits for
PAYLOAD_COPIES = 4  # of the payload, that receiving and reading it may take

log = logging.getLogger(__name__)


class DecodersUnavailable(RuntimeError):
    """The workers do not start, or die without a file to blame. Not the client's doing: it may try again later."""


class DecodePool:
    """`workers` processes, each of which decodes one file at a time within `timeout_s` seconds.

    Files wait in the order they come. A worker that is lost, or stopped for its file's sake, is replaced by a fork of a
    small process that has imported the same modules. Belongs to one event loop; use it as an async context manager.
    fork_server: that process, where pools share one; whoever made it closes it.
    """

    def __init__(
        self, workers: int, timeout_s: float, preparation: Preparation, fork_server: ForkServer | None = None
    ) -> None:
        self.workers, self.timeout_s = workers, timeout_s
        self._preparation = preparation
        self._fork_server, self._own_fork_server = fork_server or decode_fork_server(preparation), fork_server is None
        self._free: list[DecodeLink | None] = [None] * workers  # None: there is room for a worker
        self._places = asyncio.Semaphore(workers)  # as many as there are free; it lets callers in as they came
        self._links: set[DecodeLink] = set()
        self._reaping: set[asyncio.Task[None]] = set()
        self._starts = WorkerStarts()
        self._filling: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    @property
    def fork_server_pid(self) -> int | None:
        """The process id of what the workers are forked from."""
        return self._fork_server.pid

    def check(self) -> None:
        """Raises DecodersUnavailable where workers cannot be started. Whoever asks has those started that are lost."""
        self._fill()
        self._check_starts()

    async def start(self) -> None:
        """Returns once every worker has imported what it needs. Raises DecodersUnavailable."""
        rooms = [await self._take() for _ in range(self.workers)]
        attempts = await asyncio.gather(*(self._started(room) for room in rooms), return_exceptions=True)
        ready = [link for link in attempts if isinstance(link, DecodeLink)]
        for link in ready:
            self._give_back(link)
        if len(ready) < self.workers:
            detail = f"{len(ready)} of {self.workers} decode workers started"
            raise DecodersUnavailable(f"{detail}; see the log for what stopped the others")

    async def decode(self, preprocessor: Preprocessor[Any], payload: bytes, options: Any) -> Sample:
        """The sample of a file, or PayloadError. Cancelling the caller stops the work. Raises DecodersUnavailable."""
        self._check_room(len(payload))
        self._check_hope()
        for _ in range(self.workers + 1):  # all that were idle may have been lost at once; the last one is a fresh one
            room = await self._take()
            try:
                answer = await self._decode(await self._started(room), preprocessor, payload, options)
            except DecodeWorkerLost as error:
                self._check_open()
                log.error("%s; restarting it", error)
                continue
            if isinstance(answer, PayloadError):
                raise answer
            return answer
        raise DecodersUnavailable("the decode workers fail to start: see the server log, and retry later")

    async def warm_up(self, preprocessor: Preprocessor[Any]) -> Sample | None:
        """Have every worker that is idle decode an example, so that the first file takes no longer than others.

        Returns what came of it, if anything did.
        """
        warm_up = WarmUp(preprocessor.option_type())
        decodes = [self.decode(preprocessor, b"", warm_up) for _ in self._free]
        outcomes = await asyncio.gather(*decodes, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                log.debug("the sample file of %s was not decoded: %s", type(preprocessor).__name__, outcome)
        return next((outcome for outcome in outcomes if isinstance(outcome, Sample)), None)

    async def close(self) -> None:
        """Stop the workers and wait for their ends. Files that are being decoded end in DecodersUnavailable."""
        self._closed = True
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.wait([self._filling])
        for link in self._links:
            link.kill()
        await asyncio.gather(*(link.ended() for link in self._links))
        while self._reaping:
            await asyncio.wait(self._reaping)
        if self._own_fork_server:
            await self._fork_server.close()

    def _check_open(self) -> None:
        if self._closed:
            raise DecodersUnavailable("the decode workers have been stopped: the server is shutting down")

    def _check_starts(self) -> None:
        if self._starts.fault is not None:
            detail = f"decode workers cannot be started ({self._starts.fault}); see the log, and try again later"
            raise DecodersUnavailable(detail)

    def _check_hope(self) -> None:
        """Whoever would wait for a worker that cannot be started is told so instead."""
        if self._starts.fault is not None and all(map(_is_vacant, self._free)):
            self.check()

    def _fill(self) -> None:
        """Start workers for the rooms that are free and have none."""
        if not self._closed and (self._filling is None or self._filling.done()) and any(map(_is_vacant, self._free)):
            self._filling = asyncio.create_task(self._fill_rooms())

    async def _fill_rooms(self) -> None:
        while any(map(_is_vacant, self._free)):
            await self._places.acquire()
            vacant = next((place for place, room in enumerate(self._free) if _is_vacant(room)), None)
            if vacant is None:  # somebody was faster
                return self._places.release()
            room = self._free.pop(vacant)
            if room is not None:
                await self._reap(room)
            else:
                await self._fill_room()

    async def _fill_room(self) -> None:
        try:
            self._give_back(await self._started(None))
        except DecodeWorkerLost as error:
            log.error("%s before it could decode anything: another one is started", error)
            await asyncio.sleep(PAUSE_S)

    def _check_room(self, size: int) -> None:
        limit = self._preparation.memory_bytes // PAYLOAD_COPIES
        if size > limit:
            detail = f"the file has {size} bytes, decode workers have memory for {limit}: send a smaller one"
            raise TooLarge("too_much_memory", detail, limit, size)

    async def _take(self) -> DecodeLink | None:
        """One with a worker, if there is any; the one that was used last."""
        await self._places.acquire()
        for place in range(len(self._free) - 1, -1, -1):
            if not _is_vacant(self._free[place]):
                return self._free.pop(place)
        return self._free.pop()

    def _give_back(self, room: DecodeLink | None) -> None:
        self._free.append(room)
        self._places.release()

    async def _started(self, room: DecodeLink | None) -> DecodeLink:
        """The worker that has the room, or a new one. Raises DecodeWorkerLost, and gives the room back."""
        if room is not None:
            return room
        link: DecodeLink | None = None
        try:
            self._check_open()
            with self._starts.attempt():
                link = DecodeLink(self._fork_server)
                self._links.add(link)
                async with asyncio.timeout(START_PATIENCE_S):
                    await link.start(self._preparation)
        except BaseException as error:
            self._retire(link)
            if isinstance(error, OSError):  # a time-out, too
                raise DecodeWorkerLost(False, None) from error
            raise
        return link

    async def _decode(self, link: DecodeLink, *file: Any) -> Sample | PayloadError:
        """Gives the room back, with the worker unless it cannot be used again. Raises DecodeWorkerLost."""
        try:
            async with CpuTimeout(link.process.pid, self.timeout_s) as patience:
                answer = await link.decode(*file)
        except BaseException as error:
            self._retire(link)
            if isinstance(error, TimeoutError) and patience.expired():
                detail = f"decoding took longer than {self.timeout_s:g} s: send a smaller or simpler file"
                raise UndecodableInput("decode_timeout", detail, self.timeout_s) from None
            if isinstance(error, DecodeWorkerLost) and error.by_its_file and not self._closed:
                _blame(error)
            raise
        self._give_back(link)
        return answer

    def _retire(self, link: DecodeLink | None) -> None:
        """Have a worker ended; its room is given to others once it has."""
        reaping = asyncio.create_task(self._reap(link))
        self._reaping.add(reaping)
        reaping.add_done_callback(self._reaping.discard)

    async def _reap(self, link: DecodeLink | None) -> None:
        if link is not None:
            link.kill()
            await link.ended()
            self._links.discard(link)
        self._give_back(None)


def decode_fork_server(preparation: Preparation) -> ForkServer:
    """Where decode workers are forked from. Close it."""
    return ForkServer("service.decode_worker:main", preparation.modules, KEPT)


def _is_vacant(room: DecodeLink | None) -> bool:
    """Whether it has no worker, or one that has ended."""
    return room is None or room.closed


def _blame(error: DecodeWorkerLost) -> NoReturn:
    detail = f"the decoder crashed on this file (exit code {error.exitcode}): export it again"
    raise UndecodableInput("undecodable_input", detail) from None
