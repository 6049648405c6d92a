"""What runs inside a decode worker. Imports no torch: a worker is forked in milliseconds and takes some 30 MB."""

import logging
import os
import pickle
import resource
import socket
import struct
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from preprocessors.base import PayloadError, Preprocessor, Sample, TooLarge, UndecodableInput
from service.engine.arena import Arena, Block

ORDER = struct.Struct("<QQ")  # before every order: its length, and that of the file behind it
ANSWER = struct.Struct("<Q")  # before every answer: its length. Both are pickled
COURTESY = 5  # niceness beyond that of other forks: where cores are few, the engine goes first
TAKEN: Block = (1, "|u1", (), 0)  # in the memory shared with the server: a file has come, and is being decoded

log = logging.getLogger(__name__)


class Rehearsal(NamedTuple):
    """In place of options: decode the preprocessor's specimen, not the payload."""

    options: Any


def main(fds: Sequence[int]) -> int:
    """Decode one file after the other until the server closes. fds: its connection, and the memory shared with it.

    The first order is `prepare`'s arguments, and is answered with None. Returns the exit code.
    """
    taken = Arena(fds[1]).array(TAKEN)
    gone = suppress(BrokenPipeError, ConnectionResetError)  # the server
    with gone, socket.socket(fileno=fds[0]) as connection, connection.makefile("rb") as inbound:
        for place, (order, payload) in enumerate(orders(inbound)):
            taken[0] = 1
            answer = answered(order[0], payload, order[1]) if place else prepared(*order)
            connection.sendall(ANSWER.pack(len(answer)) + answer)
    return 0


def orders(inbound: BinaryIO) -> Iterator[tuple[Any, bytes]]:
    """As long as they come whole."""
    while len(header := inbound.read(ORDER.size)) == ORDER.size:
        order, payload = (inbound.read(length) for length in ORDER.unpack(header))
        yield pickle.loads(order), payload


def prepared(memory_bytes: int, modules: Sequence[str]) -> bytes:
    prepare(memory_bytes, modules)
    return pickle.dumps(None)


def prepare(memory_bytes: int, modules: Sequence[str]) -> None:
    """Import what decodes, then limit what a decode may add to the address space of this process."""
    os.nice(COURTESY)
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


def answered(packed: bytes, payload: bytes, options: Any) -> bytes:
    """A Sample or a PayloadError, pickled."""
    try:
        return pickle.dumps(decode_here(packed, payload, options), pickle.HIGHEST_PROTOCOL)
    except PayloadError as error:
        return pickle.dumps(error)


@lru_cache(maxsize=64)
def unpacked(packed: bytes) -> Preprocessor[Any]:
    preprocessor: Preprocessor[Any] = pickle.loads(packed)
    return preprocessor


def decode_here(packed: bytes, payload: bytes, options: Any) -> Sample:
    """Only PayloadError leaves: another exception may not survive the way to the server."""
    preprocessor = unpacked(packed)
    if isinstance(options, Rehearsal):
        payload, options = preprocessor.specimen() or b"", options.options
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
