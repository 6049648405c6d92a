"""The process that engines are forked from may begin before this one imports anything: torch takes it seconds."""

import atexit

from service.engine.nursery import Nursery

_begun: list[Nursery] = []


def begin() -> None:
    """For a process that is about to have an engine."""
    nursery = Nursery()
    nursery.start()
    _begun.append(nursery)
    atexit.register(end)


def taken() -> Nursery:
    """The one that has begun, or else a new one. Whoever takes it closes it."""
    return _begun.pop() if _begun else Nursery()


def end() -> None:
    """Of what nobody took."""
    while _begun:
        _begun.pop().kill()
