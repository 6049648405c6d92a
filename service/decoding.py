"""Decoding in worker processes that may crash, hang or run out of memory: it costs the one file that caused it."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from threading import Lock, Thread
from typing import Any, Self, TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from preprocessors.base import Preprocessor, Sample, TooLarge, UndecodableInput
from service.decode_worker import WorkerContext, decode_here, prepare, report_in

ATTEMPTS = 2  # the second one on fresh workers, for a file that the pool lost through no fault of its own
START_GRACE_S = 30.0  # how long a task may wait for a replaced worker before the whole pool is taken for dead
PAYLOAD_COPIES = 4  # of the payload, that receiving and reading it may take

T = TypeVar("T")

log = logging.getLogger(__name__)


class DecodersUnavailable(RuntimeError):
    """The workers do not start, or die without a file to blame. Not the client's doing: it may try again later."""


class DecodePool:
    """`workers` processes, each of which decodes one file at a time within `timeout_s` seconds and `memory_bytes`.

    Files wait in the order they come. `modules` are imported before a worker takes its first file. Belongs to one
    event loop; close it, or use it as a context manager, to stop the processes.
    """

    def __init__(
        self, workers: int, timeout_s: float, memory_bytes: int, modules: Sequence[str] = ("preprocessors.image",)
    ) -> None:
        self.workers, self.timeout_s, self.memory_bytes = workers, timeout_s, memory_bytes
        self._modules = tuple(modules)
        # A task is handed over only when a worker is free: those that wait can be cancelled without killing one
        self._slots = asyncio.Semaphore(workers)
        self._lock = Lock()
        self._closed = False
        self._handed_over: set[ProcessFuture[Any]] = set()
        self._pool = self._new_pool()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def warm_up(self, timeout_s: float = 60.0) -> None:
        """Block until every worker has imported what it needs. Raises DecodersUnavailable."""
        ready: set[int] = set()
        deadline = time.monotonic() + timeout_s
        try:
            while len(ready) < self.workers:
                calls = [self._submit(self._pool, report_in) for _ in range(self.workers)]
                ready.update(call.result(max(0.0, deadline - time.monotonic())) for call in calls)
        except (BrokenProcessPool, ProcessExpired, TimeoutError) as error:
            detail = f"{len(ready)} of {self.workers} decode workers started within {timeout_s:g} s"
            raise DecodersUnavailable(f"{detail}; see the log for what stopped the others") from error

    async def decode(self, preprocessor: Preprocessor[Any], payload: bytes, options: Any) -> Sample:
        """The sample of a file, or PayloadError. Cancelling the caller stops the work. Raises DecodersUnavailable."""
        self._check_room(len(payload))
        async with self._slots:
            for _ in range(ATTEMPTS):
                pool = self._pool
                try:
                    return await self._decode(pool, preprocessor.packed, payload, options)
                except BrokenProcessPool as error:
                    self._replace(pool, error)
        raise DecodersUnavailable("the decode workers stop as soon as they start; see the log, and try again later")

    def close(self) -> None:
        """Stop and join the workers. Files that are being decoded end in DecodersUnavailable."""
        with self._lock:
            self._closed = True
        _dispose(self._pool, tuple(self._handed_over))

    def _check_room(self, size: int) -> None:
        limit = self.memory_bytes // PAYLOAD_COPIES
        if size > limit:
            detail = f"the file has {size} bytes, decode workers have memory for {limit}: send a smaller one"
            raise TooLarge("too_much_memory", detail, limit, size)

    async def _decode(self, pool: ProcessPool, *args: Any) -> Sample:
        future = self._submit(pool, decode_here, *args, timeout_s=self.timeout_s)
        self._handed_over.add(future)
        try:
            async with asyncio.timeout(self.timeout_s + START_GRACE_S) as patience:
                return await asyncio.wrap_future(future)
        except TypeError as error:  # what pebble raises where it was sending while its pool was taken away
            if pool is self._pool and not self._closed:
                raise
            raise BrokenProcessPool("the pool was replaced or closed") from error
        except ProcessExpired as error:
            detail = f"the decoder crashed on this file (exit code {error.exitcode}): export it again"
            raise UndecodableInput("undecodable_input", detail) from None
        except TimeoutError as error:
            if patience.expired():
                self._replace(pool, error)
            detail = f"decoding took longer than {self.timeout_s:g} s: send a smaller or simpler file"
            raise UndecodableInput("decode_timeout", detail, self.timeout_s) from None
        finally:
            self._handed_over.discard(future)

    def _submit(
        self, pool: ProcessPool, function: Callable[..., T], *args: Any, timeout_s: float | None = None
    ) -> ProcessFuture[T]:
        if self._closed:
            raise DecodersUnavailable("the decode workers have been stopped: the server is shutting down")
        try:
            return pool.schedule(function, args=args, timeout=timeout_s)
        except RuntimeError as error:  # how pebble says that its pool is beyond repair
            raise BrokenProcessPool(str(error)) from error

    def _replace(self, broken: ProcessPool, cause: Exception) -> None:
        with self._lock:
            if broken is not self._pool or self._closed:
                return
            self._pool = self._new_pool()
        log.error("the decode workers are replaced: %s", cause)
        Thread(target=_dispose, args=(broken, tuple(self._handed_over)), daemon=True).start()

    def _new_pool(self) -> ProcessPool:
        arguments = (self.memory_bytes, self._modules)
        return ProcessPool(self.workers, 0, prepare, arguments, WorkerContext(self._modules))


def _dispose(pool: ProcessPool, tasks: Iterable[ProcessFuture[Any]]) -> None:
    """Stop a pool and its processes; what it had not finished by then ends in BrokenProcessPool."""
    pool.stop()  # type: ignore[no-untyped-call]  # pebble annotates the rest
    pool.join()
    for task in tasks:
        if not task.done():
            task.set_exception(BrokenProcessPool("the pool was replaced or closed"))
