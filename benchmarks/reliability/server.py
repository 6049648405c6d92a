"""Servers that proofs are made against: as they are, or with a clock in the event loop and models of choice."""

import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.reliability.asking import Client
from benchmarks.running_server import running
from service.bench.open_loop import Generator
from service.bench.shot import Address, Shot

WATCHED = "benchmarks.reliability.watched_server"
FORK_SERVER = "service.engine.worker:main"  # in its command line; decode workers are forked from another one


@dataclass(frozen=True)
class Server:
    process: psutil.Process
    port: int

    def client(self, patience_s: float = 60.0) -> Client:
        return Client(self.port, patience_s)

    def generator(self, *shots: Shot, seed: int = 0) -> Generator:
        return Generator(Address("127.0.0.1", self.port), shots, seed=seed)

    def watch(self, reset: bool = False) -> dict[str, float]:
        """What a watched server tells of itself. reset: begin anew after it."""
        return dict(self.client().ask("POST" if reset else "GET", "/watch").json)

    def metric(self, name: str) -> float:
        """The sum over all labels."""
        text = self.client().get("/metrics").body.decode()
        return sum(map(float, re.findall(rf"^unireplknet_{name}(?:{{.*}})? (\S+)", text, re.M)))

    @property
    def processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def over_all(self, read: Callable[[psutil.Process], float]) -> float:
        """The sum over the server and its workers; those that end meanwhile are left out."""
        return sum(_or_zero(read, process) for process in self.processes)

    @property
    def own_bytes(self) -> float:
        """Memory that no other process shares (USS), of all processes."""
        return self.over_all(lambda process: process.memory_full_info().uss)

    @property
    def resident_bytes(self) -> float:
        return self.over_all(lambda process: process.memory_info().rss)

    @property
    def cpu_s(self) -> float:
        return self.over_all(lambda process: sum(process.cpu_times()[:2]))

    def engine(self) -> psutil.Process | None:
        """The process that computes: the child of the one that engines are forked from."""
        forks = [process for process in self.processes if FORK_SERVER in _or_zero(_command, process, "")]
        parents = {process.pid for process in forks}
        return next((process for process in forks if _or_zero(psutil.Process.ppid, process) in parents), None)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)


def _command(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


def _or_zero(read: Callable[[psutil.Process], Any], process: psutil.Process, otherwise: Any = 0) -> Any:
    try:
        return read(process)
    except psutil.Error:
        return otherwise


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def serving(module: str = WATCHED, *arguments: str, **settings: str) -> Iterator[Server]:
    """A server that is ready. settings: of the service, by their names."""
    port = free_port()
    chosen = {
        "PORT": str(port),
        "LOG_LEVEL": "critical",  # of what these proofs do to it much is worth a line
        **{key.upper(): value for key, value in settings.items()},
    }
    with running(module, list(arguments), port, chosen) as process:
        yield Server(process, port)


def plain() -> AbstractContextManager[Server]:
    """As it is, by its own command."""
    return serving("service", "serve")


def demo(**settings: str) -> AbstractContextManager[Server]:
    """The models that come with the project."""
    return serving(WATCHED, "demo", **settings)


def marked(
    start_s: float = 0.0, each_s: float = 0.0, ledger: str = "", **settings: str
) -> AbstractContextManager[Server]:
    """Models that answer with the mark that they were sent, see `marker`. ledger: a file that tells what they ran."""
    return serving(WATCHED, "marked", str(start_s), str(each_s), ledger, **settings)
