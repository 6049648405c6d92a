"""What runs inside a decode worker. Imports no torch: a worker is forked in milliseconds and takes some 30 MB."""

import logging
import os
import pickle
import resource
import socket
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from preprocessors.base import PayloadError, Preprocessor, Sample, TooLarge, UndecodableInput
from service.engine.arena import Arena, Block
from service.logs import LogFormat, configure
from service.parcel import NOTICE, packed, unpacked_order

TAKEN: Block = (1, "|u1", (), 0)  # in the memory shared with the server: a file has come, and is being decoded

log = logging.getLogger(__name__)


class Preparation(NamedTuple):
    """modules: to import. memory_bytes: that a decode may add to the address space. niceness: beyond that of other
    forks: where cores are few, the engine goes first. The rest: how to log."""

    modules: tuple[str, ...]
    memory_bytes: int
    niceness: int = 5
    log_level: str = "warning"
    log_format: LogFormat = LogFormat.TEXT


class WarmUp(NamedTuple):
    """In place of options: decode the preprocessor's example, not the payload."""

    options: Any


def main(fds: Sequence[int]) -> int:
    """Decode one file after the other until the server closes. fds: its connection, the memory of the mark, of orders
    and of answers. Orders and answers are parcels, and the connection carries the notices of them.

    The first order is a Preparation, and is answered with None. Returns the exit code.
    """
    taken, inbox, outbox = Arena(fds[1]).array(TAKEN), Arena(fds[2]), Arena(fds[3])
    gone = suppress(BrokenPipeError, ConnectionResetError)  # the server
    with gone, socket.socket(fileno=fds[0]) as connection, connection.makefile("rb") as inbound:
        for place, notice in enumerate(iter(lambda: inbound.read(NOTICE.size), b"")):
            order = unpacked_order(inbox, notice)
            taken[0] = 1
            connection.sendall(answered(outbox, *order) if place else prepared(outbox, order))
    return 0


def prepared(outbox: Arena, preparation: Preparation) -> bytes:
    os.nice(preparation.niceness)
    prepare_log(preparation.log_level, preparation.log_format)
    for module in preparation.modules:
        import_module(module)
    limit_memory(preparation.memory_bytes)
    return packed(outbox, None)


def prepare_log(level: str, log_format: LogFormat) -> None:
    """Log as the server does. What libraries say of the senders' files is nothing that its reader could mend."""
    warnings.simplefilter("ignore")
    if level != "debug":
        _mute_libraries()
    configure(level, log_format)


def _mute_libraries() -> None:
    """Those written in C print on descriptor 2, whatever the log looks like. Python keeps the way there."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def limit_memory(memory_bytes: int) -> None:
    """What may be added to the address space of this process from now on."""
    _limit(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + memory_bytes)


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def answered(outbox: Arena, preprocessor: bytes, options: Any, payload: bytes) -> bytes:
    """The notice of a Sample or a PayloadError."""
    try:
        return packed(outbox, decode_here(preprocessor, payload, options))
    except PayloadError as error:
        return packed(outbox, error)
    except (MemoryError, OSError):  # it was decoded, but there is no room to hand it over
        return packed(outbox, _too_large())


@lru_cache(maxsize=64)
def preprocessor_of(pickled: bytes) -> Preprocessor[Any]:
    preprocessor: Preprocessor[Any] = pickle.loads(pickled)
    return preprocessor


def decode_here(pickled: bytes, payload: bytes, options: Any) -> Sample:
    """Only PayloadError leaves: another exception may not survive the way to the server."""
    preprocessor = preprocessor_of(pickled)
    if isinstance(options, WarmUp):
        payload, options = preprocessor.example() or b"", options.options
    try:
        return preprocessor.decode(payload, options)
    except PayloadError:
        raise
    except MemoryError:
        raise _too_large() from None
    except (Exception, SystemExit) as error:
        log.exception("%s failed in a way it should not", type(preprocessor).__name__)
        detail = f"the decoder failed on this file ({type(error).__name__}): export it again"
        raise UndecodableInput("undecodable_input", detail) from None


def _too_large() -> TooLarge:
    return TooLarge("too_much_memory", "decoding this file takes more memory than is allowed: send a smaller one")
