"""What forks of a fork server do in tests."""

import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def report(fds: Sequence[int]) -> int:
    """Tell the first descriptor about this process, wait for a byte, and exit with its value."""
    threads = len(list(Path("/proc/self/task").iterdir())) if sys.platform == "linux" else 1
    facts = (os.getppid(), "sqlite3" in sys.modules, threads, "__main__" in sys.modules and main_file())
    with socket.socket(fileno=fds[0]) as connection:
        connection.sendall(repr(facts).encode())
        return connection.recv(1)[0]


def main_file() -> str:
    return str(getattr(sys.modules["__main__"], "__file__", "none"))


def sleep(fds: Sequence[int]) -> int:
    time.sleep(1000)
    return 0


def fail(fds: Sequence[int]) -> int:
    raise RuntimeError("it cannot")


def clog(fds: Sequence[int]) -> int:
    """End with what cannot be written."""
    sys.stdout = os.fdopen(os.dup(1), "w")
    sys.stdout.write("a last word")
    os.close(sys.stdout.fileno())
    return 7
