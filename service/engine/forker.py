"""The process that engines are forked from. It has one thread, has imported what engines need, and computes nothing.

It ends when the server does, however that ends, and its engines end with it, even those that hang.
"""

import contextlib
import ctypes
import gc
import os
import selectors
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

STATUS = struct.Struct("q")  # what a fork's status pipe carries: its process id, and in the end its exit code
MAX_FDS = 32
NICENESS = 5  # niceness of forks: they compute, and where cores are few the server's event loop goes first
PR_SET_PDEATHSIG = 1

Main = Callable[[Sequence[int]], int]


@dataclass(frozen=True)
class _Fork:
    """status: where its end is told. lifeline: reads end-of-file when it has ended."""

    pid: int
    status: int
    lifeline: int


class Forker:
    """Forks a process that runs `main` for every request. A request is a byte and file descriptors.

    The first descriptor is the status pipe; `main` is given the others, and returns the exit code.
    """

    def __init__(self, control: socket.socket, main: Main) -> None:
        self._control, self._main = control, main
        self._selector = selectors.DefaultSelector()
        self._forks: dict[int, _Fork] = {}

    def serve(self) -> None:
        """Until the other end of `control` is closed."""
        self._selector.register(self._control, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fd in self._forks:
                    self._reap(self._forks.pop(key.fd))
                elif not self._answer():
                    return self._kill_all()

    def _answer(self) -> bool:
        request, fds, _, _ = socket.recv_fds(self._control, 1, MAX_FDS)
        if request:
            self._fork(fds[0], fds[1:])
        return bool(request)

    def _fork(self, status: int, fds: Sequence[int]) -> None:
        """Whoever asked reads the end of its status pipe where the system has no room for another process."""
        ends: tuple[int, ...] = ()
        try:
            lifeline, held = ends = os.pipe()
            parent, pid = os.getpid(), os.fork()
        except OSError as error:
            sys.stderr.write(f"no process can be forked ({error}): raise the limit on processes or on open files\n")
            _close(*fds, *ends, status)
            return
        if pid == 0:
            self._become(parent, status, fds, lifeline)
        _close(held, *fds)
        self._forks[lifeline] = _Fork(pid, status, lifeline)
        self._selector.register(lifeline, selectors.EVENT_READ)
        _tell(status, pid)

    def _become(self, parent: int, status: int, fds: Sequence[int], lifeline: int) -> NoReturn:
        """What the fork does in place of returning: the fork server's business is not its own."""
        code = 1
        try:
            _die_with(parent)
            os.nice(NICENESS)
            self._selector.close()
            self._control.close()
            for other in self._forks.values():
                _close(other.lifeline, other.status)
            _close(status, lifeline)
            code = self._main(fds)
        except BaseException:
            traceback.print_exc()
        finally:
            _leave(code)

    def _reap(self, fork: _Fork) -> None:
        self._selector.unregister(fork.lifeline)
        _, status = os.waitpid(fork.pid, 0)
        _tell(fork.status, os.waitstatus_to_exitcode(status))
        _close(fork.lifeline, fork.status)

    def _kill_all(self) -> None:
        for fork in self._forks.values():
            os.kill(fork.pid, signal.SIGKILL)


def _leave(code: int) -> NoReturn:
    """No handlers of the fork server's, and no waiting for threads of libraries."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


def _tell(status: int, value: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the server has lost interest
        os.write(status, STATUS.pack(value))


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends. On Linux; elsewhere the parent sees to it if it can."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            raise SystemExit("the fork server ended while it forked this process")


def main(control: int, entry: str, modules: Sequence[str]) -> None:
    """entry: "module:function" that forks run. modules: what is imported once, for all of them."""
    # Ctrl-C reaches the whole terminal, and service managers may tell every process of a service to end. The server
    # decides: whom it has let in it will answer, and for that it needs its forks
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.SIG_IGN)
    module, _, function = entry.partition(":")
    run = getattr(import_module(module), function)
    for name in modules:
        import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a fork would touch, and so copy, the memory that it shares with the others
    Forker(socket.socket(fileno=control), run).serve()
