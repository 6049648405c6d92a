"""A preprocessor that does what its payload says. Decode workers import it by name: its folder must be on the path."""

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

from preprocessors.base import Preprocessor, Sample, TooLarge
from service import decode_worker
from service.engine.arena import Arena
from service.parcel import NOTICE


class Unportable(Exception):
    """Survives pickling, but not unpickling."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


def refuse() -> NoReturn:
    raise TooLarge("too_many_frogs", detail="seven frogs", limit=6, actual=7)


def raise_unportable() -> NoReturn:
    raise Unportable("a", "b")


def segfault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def allocate() -> Sample:
    return Sample((np.ones(20 << 30, np.uint8)[:1],))


def tell(sizes: Sequence[int]) -> Callable[[], NoReturn]:
    """Of parts of such sizes, in place of the refusal."""

    def fault() -> NoReturn:
        decode_worker.packed = lambda arena, item: told(arena, sizes)  # type: ignore[attr-defined]
        refuse()

    return fault


def told(outbox: Arena, sizes: Sequence[int]) -> bytes:
    os.ftruncate(outbox.fd, 1 << 33)
    outbox.lay(b"".join(map(NOTICE.pack, sizes)))
    return NOTICE.pack(len(sizes))


def spin() -> int:
    return sum(itertools.repeat(0))  # never returns to the interpreter, so no Python signal handler runs


FAULTS: dict[bytes, Callable[[], Any]] = {
    b"exit": lambda: os._exit(3),
    b"segfault": segfault,
    b"sleep": lambda: time.sleep(1000),
    b"nap": lambda: time.sleep(0.5),
    b"spin": spin,
    b"allocate": allocate,
    b"refuse": refuse,
    b"unportable": raise_unportable,
    b"chatter": lambda: os.write(2, b"as a library in C says it"),
    b"quit": lambda: sys.exit(0),
    b"many parts": tell([0] * 1_000_000),
    b"large parts": tell([1 << 30, 1 << 30]),
    b"smuggle": lambda: os.system,
    b"": lambda: None,
}


@dataclass(frozen=True)
class RehearsedPreprocessor(Preprocessor[None]):
    """trace: a file to which every decode of an example appends the id of its process. fault: a key of FAULTS."""

    option_type: ClassVar[type] = type(None)

    trace: Path
    fault: bytes = b""

    def example(self) -> bytes:
        return b"example"

    def decode(self, payload: bytes, options: None) -> Sample:
        if payload == self.example():
            with self.trace.open("a") as file:
                file.write(f"{os.getpid()}\n")
            FAULTS[self.fault]()
        return Sample((np.zeros(1, np.uint8),), {"pid": os.getpid()})


@dataclass(frozen=True)
class FaultyPreprocessor(Preprocessor[Path | None]):
    """options: a file to which every decode appends the id of its process, before it does anything else."""

    def decode(self, payload: bytes, options: Path | None) -> Sample:
        if options is not None:
            with options.open("a") as file:
                file.write(f"{os.getpid()}\n")
        context = FAULTS[payload[:20]]()
        facts = {"pid": os.getpid(), "torch": "torch" in sys.modules}
        return Sample((np.zeros(1, np.uint8),), facts, context)
