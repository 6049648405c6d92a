"""Processes forked from a small server: where they come from, and how they end."""

import ast
import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psutil
import pytest

from service.engine.fork_server import ForkedProcess, ForkServer
from service.engine.forker import STATUS, Forker
from tests.service.engine import forks
from tests.service.engine.conftest import Started, run, until

ROOT = Path(__file__).resolve().parents[3]
FORKS = "tests.service.engine.forks"


@asynccontextmanager
async def a_fork_server(entry: str, modules: tuple[str, ...] = ()) -> AsyncIterator[ForkServer]:
    fork_server = ForkServer(f"{FORKS}:{entry}", modules)
    try:
        yield fork_server
    finally:
        await fork_server.close()


def gone(pid: int | None) -> bool:
    assert pid is not None
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def forked(fork_server: ForkServer) -> tuple[ForkedProcess, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        return fork_server.fork([theirs.fileno()]), ours


async def facts(connection: socket.socket) -> Any:
    return ast.literal_eval((await asyncio.get_running_loop().sock_recv(connection, 1000)).decode())


def test_whoever_is_cancelled_as_the_process_ends_is_cancelled() -> None:
    async def scenario() -> None:
        read, told = os.pipe()
        process = ForkedProcess(read)
        waiting = asyncio.create_task(process.wait(30))
        await asyncio.sleep(0)
        process.abandon()
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        os.close(told)

    run(scenario())


def test_forks_are_given_descriptors_and_their_exit_code_comes_back() -> None:
    async def scenario() -> None:
        async with a_fork_server("report") as fork_server:
            processes = [await forked(fork_server) for _ in range(3)]
            for code, (process, connection) in enumerate(processes):
                parent, _, threads, main = await facts(connection)
                assert (parent, threads, main) == (fork_server.pid, 1, "none")
                while process.pid is None:  # it is told by another way
                    await asyncio.sleep(0.001)
                assert process.pid not in (os.getpid(), fork_server.pid)
                connection.send(bytes([code]))
                assert await process.wait(30) == code
                assert gone(process.pid)
                connection.close()

    run(scenario())


def test_modules_are_imported_before_forks_are_made() -> None:
    async def scenario() -> None:
        async with a_fork_server("report", ("sqlite3",)) as fork_server:
            _, connection = await forked(fork_server)
            _, imported, threads, _ = await facts(connection)
            assert (imported, threads) == (True, 1)
            connection.close()

    run(scenario())


def test_torch_and_what_serves_with_it_start_no_thread_beside_which_it_is_unsafe_to_fork(
    fork_server: ForkServer, started: Started
) -> None:
    async def scenario() -> None:
        async with started():
            assert psutil.Process(fork_server.pid).num_threads() == 1

    run(scenario())


def test_forks_keep_the_memory_of_maps_and_the_operators_own_choice_goes_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)

    async def scenario() -> None:
        async with a_fork_server("report") as fork_server:
            _, connection = await forked(fork_server)
            await facts(connection)
            environment = psutil.Process(fork_server.pid).environ()
            assert environment["MALLOC_MMAP_THRESHOLD_"] == str(32 << 20)  # the most that the C library takes
            assert environment["MALLOC_TRIM_THRESHOLD_"] == "1000000"
            connection.close()

    run(scenario())


def test_a_fork_can_be_killed_whatever_it_does() -> None:
    async def scenario() -> None:
        async with a_fork_server("sleep") as fork_server:
            process, connection = await forked(fork_server)
            await until(lambda: process.pid is not None)
            assert process.pid is not None
            os.kill(process.pid, signal.SIGSTOP)
            process.kill()
            assert await process.wait(30) == -signal.SIGKILL
            process.kill()
            connection.close()

    run(scenario())


def test_a_fork_that_raises_ends_with_status_one() -> None:
    async def scenario() -> int | None:
        async with a_fork_server("fail") as fork_server:
            process, connection = await forked(fork_server)
            connection.close()
            return await process.wait(30)

    assert run(scenario()) == 1


def test_a_fork_server_that_was_killed_takes_its_forks_along_and_starts_anew() -> None:
    async def scenario() -> None:
        async with a_fork_server("sleep") as fork_server:
            process, connection = await forked(fork_server)
            await until(lambda: process.pid is not None)
            first = fork_server.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            assert await process.wait(30) is None
            connection.close()
            if sys.platform == "linux":
                await until(lambda: gone(process.pid))
            second, connection = await forked(fork_server)
            await until(lambda: second.pid is not None)
            assert fork_server.pid != first
            connection.close()

    run(scenario())


def test_closing_ends_the_server_and_its_forks() -> None:
    async def scenario() -> None:
        async with a_fork_server("sleep") as fork_server:
            process, connection = await forked(fork_server)
            await until(lambda: process.pid is not None)
            pids = fork_server.pid, process.pid
            await fork_server.close()
            await until(lambda: all(map(gone, pids)))
            connection.close()

    run(scenario())


def test_one_that_was_never_used_closes_as_well() -> None:
    run(ForkServer().close())


def test_an_end_that_nobody_cares_for_keeps_nothing_open() -> None:
    async def scenario() -> None:
        async with a_fork_server("report") as fork_server:
            process, connection = await forked(fork_server)
            process.abandon()
            process.abandon()
            assert await process.wait(1) is None
            assert process.ended
            connection.close()

    run(scenario())


SERVER = """
import asyncio, socket, sys
from service.engine.fork_server import ForkServer

async def main():
    fork_server = ForkServer("tests.service.engine.forks:sleep", ())
    ours, theirs = socket.socketpair()
    process = fork_server.fork([theirs.fileno()])
    while process.pid is None:
        await asyncio.sleep(0.01)
    sys.stdout.write(f"{process.pid} {fork_server.pid}\\n")
    sys.stdout.flush()
    await asyncio.sleep(100)

asyncio.run(main())
"""


@pytest.mark.parametrize("stopped", [False, True], ids=["busy", "stopped"])
def test_forks_end_with_the_server_though_they_hang(stopped: bool) -> None:
    # The program comes from standard input, as in an interactive shell: there is no file to import again
    arguments: Any = {"cwd": ROOT, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-"], **arguments) as server:
        assert server.stdin
        assert server.stdout
        server.stdin.write(SERVER)
        server.stdin.close()
        pids = [int(pid) for pid in server.stdout.readline().split()]
        assert len(pids) == 2
        if stopped:
            os.kill(pids[0], signal.SIGSTOP)
        server.kill()
    deadline = time.monotonic() + 20
    while not all(map(gone, pids)):
        assert time.monotonic() < deadline, "an orphan was left"
        time.sleep(0.01)


def test_forks_give_way_to_the_process_that_answers() -> None:
    async def scenario() -> None:
        async with a_fork_server("report") as fork_server:
            process, connection = await forked(fork_server)
            await facts(connection)
            while process.pid is None:
                await asyncio.sleep(0.001)
            assert os.getpriority(os.PRIO_PROCESS, process.pid) > os.getpriority(os.PRIO_PROCESS, 0)
            connection.send(b"\0")
            await process.wait(30)
            connection.close()

    run(scenario())


def test_a_fork_that_the_system_refuses_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fork server runs in a thread of this process, which never forks."""
    control, theirs = socket.socketpair()
    parent = Forker(theirs, forks.sleep)
    refused = OSError(errno.EAGAIN, "Resource temporarily unavailable")
    monkeypatch.setattr("service.engine.forker.os.fork", Mock(side_effect=refused))
    serving = threading.Thread(target=parent.serve, daemon=True)
    serving.start()
    before = psutil.Process().num_fds()
    for _ in range(3):
        status, told = os.pipe()
        socket.send_fds(control, [b"f"], [told])
        os.close(told)
        assert os.read(status, STATUS.size) == b""
        os.close(status)
    assert psutil.Process().num_fds() == before
    control.close()
    serving.join(30)
    assert not serving.is_alive()
    theirs.close()


def test_whoever_asked_for_a_fork_that_the_system_refuses_learns_of_it() -> None:
    async def scenario() -> None:
        read, told = os.pipe()
        process = ForkedProcess(read)
        os.close(told)
        assert await process.wait(30) is None

    run(scenario())


def test_a_fork_ends_even_where_it_cannot_say_what_it_wrote() -> None:
    async def scenario() -> int | None:
        async with a_fork_server("clog") as fork_server:
            process, connection = await forked(fork_server)
            code = await process.wait(30)
            again, other = await forked(fork_server)
            await until(lambda: again.pid is not None)
            connection.close()
            other.close()
            return code

    assert run(scenario()) == 7


def test_a_process_that_has_ended_is_sent_no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may be another's by then."""

    async def scenario() -> None:
        read, told = os.pipe()
        process = ForkedProcess(read)
        os.write(told, STATUS.pack(os.getpid()))
        await until(lambda: process.pid is not None)
        sent: list[Any] = []
        monkeypatch.setattr("service.engine.fork_server.os.kill", lambda *signal: sent.append(signal))
        monkeypatch.setattr(
            "service.engine.fork_server.signal.pidfd_send_signal", lambda *signal: sent.append(signal), raising=False
        )

        def ended_meanwhile(pid: int) -> int:
            os.write(told, STATUS.pack(0))
            return os.dup(read)

        monkeypatch.setattr("service.engine.fork_server._pidfd", ended_meanwhile)
        process.kill()
        assert sent == []
        os.close(told)

    run(scenario())
