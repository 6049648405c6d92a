"""Processes that start in milliseconds with torch imported: forks of a small server, not of this process."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

from service.engine.forker import STATUS

# A program of its own: what the main script of this process is, or whether there is one, does not matter
PROGRAM = """import json, sys
control, sys.path, entry, modules = json.loads(sys.argv[1])
from service.engine.forker import main
main(control, entry, modules)"""
# A BLAS library would start threads when it is imported, beside which the fork server must not fork, and engines do not
# use it; asking CUDA whether it is there the ordinary way would forbid it to forks
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
# Threads that spin while they wait for one another take the cores from the decoders: on two busy cores a forecast of
# 75 ms took over a second. The operator's own choice goes before.
OPENMP_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
# Feature maps of megabytes come and go in every pass. Given back to the system each time, their pages are cleared anew
# for the next: a sixth of a pass of eight pictures, a third of a large forecast's reading. These are the largest maps
# to keep, and how much in all of what a process does not use.
LARGEST_KEPT, KEPT = 32 << 20, 512 << 20  # bytes


class ForkedProcess:
    """A fork, seen from here. status: read end of its status pipe. Belongs to the running event loop."""

    def __init__(self, status: int) -> None:
        self._status = status
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int | None] = self._loop.create_future()
        self.pid: int | None = None
        os.set_blocking(status, False)
        self._loop.add_reader(status, self._read)

    @property
    def ended(self) -> bool:
        return self._ended.done()

    def kill(self) -> None:
        """At once, whatever it does; it is no error where it has ended."""
        self._read()
        if self.pid is not None and not self.ended:
            with contextlib.suppress(ProcessLookupError):
                self._kill(self.pid)

    async def wait(self, timeout_s: float) -> int | None:
        """Its exit code, negative for a signal; None where the fork server died first. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):  # wait_for would swallow a cancellation that comes with the end
            return await asyncio.shield(self._ended)

    def abandon(self) -> None:
        """Lose interest in its end."""
        if not self.ended:
            self._take(b"")

    def _kill(self, pid: int) -> None:
        """By a descriptor, which is never another process's; it is its own while its end has not been told."""
        descriptor = _pidfd(pid)
        if descriptor is None:
            return os.kill(pid, signal.SIGKILL)
        try:
            self._read()
            if not self.ended:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while not self.ended:
                self._take(os.read(self._status, STATUS.size))

    def _take(self, data: bytes) -> None:
        (value,) = STATUS.unpack(data) if data else (None,)
        if data and self.pid is None:
            self.pid = value
            return
        self._ended.set_result(value)
        self._loop.remove_reader(self._status)
        os.close(self._status)


class ForkServer:
    """Starts its server with the first fork or before, and anew should it have died. Close it, and its forks end.

    entry: "module:function", called in every fork with the file descriptors it was given; returns the exit code.
    modules: what the server imports, so that forks need not. kept: bytes that a fork frees and does not give back.
    """

    def __init__(
        self,
        entry: str = "service.engine.worker:main",
        modules: Sequence[str] = ("service.pipeline",),
        kept: int = KEPT,
    ) -> None:
        self._entry, self._modules, self._kept = entry, tuple(modules), kept
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Have the server begin to import what forks need; the first of them comes sooner then."""
        if self._process is None:
            self._start()

    def fork(self, fds: Sequence[int]) -> ForkedProcess:
        """Ask for a process that holds copies of these descriptors; it need not run yet when this returns."""
        status, told = os.pipe()
        try:
            self._request([told, *fds])
        finally:
            os.close(told)
        return ForkedProcess(status)

    def kill(self) -> None:
        """At once, with all forks."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()  # it may be importing still
            self._process.wait()
        self._control = self._process = None

    async def close(self) -> None:
        await asyncio.to_thread(self.kill)

    def _request(self, fds: list[int]) -> None:
        if self._process is not None and self._process.poll() is None and self._control is not None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has died this moment
                socket.send_fds(self._control, [b"f"], fds)
                return
        socket.send_fds(self._start(), [b"f"], fds)

    def _start(self) -> socket.socket:
        self.kill()  # it does not listen any more
        self._control, theirs = socket.socketpair()
        with theirs:
            order = json.dumps([theirs.fileno(), list(map(str, sys.path)), self._entry, self._modules])
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, order],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**engine_environment(self._kept), **os.environ, **ENVIRONMENT},
            )
        return self._control


def engine_environment(kept: int = KEPT) -> dict[str, str]:
    """By which an engine's libraries compute as they do, where the operator has not set it otherwise."""
    return {**OPENMP_ENVIRONMENT, **malloc_environment(kept)}


def _pidfd(pid: int) -> int | None:
    """None where the system has no such thing, or no descriptor to give."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def malloc_environment(kept: int) -> dict[str, str]:
    """What has the C library keep memory."""
    return {"MALLOC_MMAP_THRESHOLD_": str(LARGEST_KEPT), "MALLOC_TRIM_THRESHOLD_": str(kept)}
