"""The process that engines are forked from may begin before this one imports anything: torch takes it seconds."""

import atexit

from service.engine.fork_server import ForkServer

_begun: list[ForkServer] = []


def begin() -> None:
    """For a process that is about to have an engine."""
    fork_server = ForkServer()
    fork_server.start()
    _begun.append(fork_server)
    atexit.register(end)


def taken() -> ForkServer:
    """The one that has begun, or else a new one. Whoever takes it closes it."""
    return _begun.pop() if _begun else ForkServer()


def end() -> None:
    """Of what nobody took."""
    while _begun:
        _begun.pop().kill()
