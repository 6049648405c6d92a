"""What runs inside a decode worker. Imports no torch: a worker starts in milliseconds and takes some 30 MB."""

import logging
import os
import pickle
import resource
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.popen_forkserver import Popen
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from preprocessors.base import PayloadError, Preprocessor, Sample, TooLarge, UndecodableInput

ROLL_CALL_S = 0.02  # long enough for an idle colleague to take the next call

log = logging.getLogger(__name__)


class WorkerProcess(ForkServerProcess):
    """A process that does not import the main script of the server again, which would bring in torch."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Popen:  # the hook of multiprocessing that starts a process
        with _main_hidden():
            return ForkServerProcess._Popen(process_obj)


class WorkerContext(ForkServerContext):
    """Workers are forked from a small, single-threaded server that has imported what they need."""

    Process = WorkerProcess

    def __init__(self, modules: Sequence[str]) -> None:
        super().__init__()
        self.set_forkserver_preload([__name__, *modules])


@contextmanager
def _main_hidden() -> Iterator[None]:
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def prepare(memory_bytes: int, modules: Sequence[str]) -> None:
    """Import what decodes, then limit what a decode may add to the address space of this process."""
    # The pool's own handler runs only once the decoder returns to Python, and a hung one never does
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    warnings.simplefilter("ignore")  # they are about the senders' files, and nobody reads them here
    for module in modules:
        import_module(module)
    _limit(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + memory_bytes)


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def report_in() -> int:
    """The process id of a worker that is ready."""
    time.sleep(ROLL_CALL_S)
    return os.getpid()


@lru_cache(maxsize=64)
def unpacked(packed: bytes) -> Preprocessor[Any]:
    preprocessor: Preprocessor[Any] = pickle.loads(packed)
    return preprocessor


def decode_here(packed: bytes, payload: bytes, options: Any) -> Sample:
    """Only PayloadError leaves: another exception may not survive the way to the parent, and would break the pool."""
    preprocessor = unpacked(packed)
    try:
        return preprocessor.decode(payload, options)
    except PayloadError:
        raise
    except MemoryError:
        detail = "decoding this file takes more memory than is allowed: send a smaller one"
        raise TooLarge("too_much_memory", detail) from None
    except (Exception, SystemExit) as error:
        log.exception("%s failed in a way it should not", type(preprocessor).__name__)
        detail = f"the decoder failed on this file ({type(error).__name__}): export it again"
        raise UndecodableInput("undecodable_input", detail) from None
