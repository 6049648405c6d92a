"""A server with all of its processes: started on a core of its own, accounted for, told to end."""

import contextlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

MEGABYTE = 1_000_000
TOKEN = "PEER_FAMILY"
END_PATIENCE_S = 40.0


@dataclass(frozen=True)
class Memory:
    """Megabytes of all processes. pss_mb: pages that several share are counted once."""

    pss_mb: float
    rss_mb: float
    processes: int


class Family:
    """The process that was started, and all that came of it; `token`, in their environment, finds orphans."""

    def __init__(self, process: "subprocess.Popen[bytes]", token: str) -> None:
        self.process, self._token = process, token
        self._known = {psutil.Process(process.pid)}

    def members(self) -> list[psutil.Process]:
        """Those that live."""
        self._known |= {process for process in psutil.process_iter() if self._bears_token(process)}
        for member in list(self._known):
            with contextlib.suppress(psutil.NoSuchProcess):
                self._known |= set(member.children(recursive=True))
        self._known = {member for member in self._known if member.is_running()}
        return [member for member in self._known if member.status() != psutil.STATUS_ZOMBIE]

    def _bears_token(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return process.environ().get(TOKEN) == self._token
        return False

    def cpu_s(self) -> float:
        """Seconds that those alive have computed so far."""
        spent = 0.0
        for member in self.members():
            with contextlib.suppress(psutil.NoSuchProcess):
                spent += sum(member.cpu_times()[:2])
        return spent

    def memory(self) -> Memory:
        members = self.members()
        pss = rss = 0
        for member in members:
            with contextlib.suppress(psutil.Error):
                info = member.memory_full_info()
                pss, rss = pss + info.pss, rss + info.rss
        return Memory(round(pss / MEGABYTE), round(rss / MEGABYTE), len(members))

    def end(self) -> tuple[int | None, float, int]:
        """By SIGTERM to the first: its exit code, None where it stays; seconds; how many of the others stay."""
        members, start = set(self.members()) - {psutil.Process(self.process.pid)}, time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.process.wait(END_PATIENCE_S)
        seconds = time.monotonic() - start
        _, left = psutil.wait_procs(members, timeout=5)
        return code, seconds, len(left)

    def kill(self) -> None:
        for member in self.members():
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        self.process.kill()
        self.process.wait()


@contextmanager
def started(command: list[str], environment: dict[str, str], core: int, log: Path) -> Iterator[Family]:
    """All of it on one core, so that its work is what bounds it and the generator does not compete."""
    token, usual = uuid.uuid4().hex, os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})  # inherited
    try:
        with log.open("wb") as file:
            given = {**os.environ, **environment, TOKEN: token}
            family = Family(subprocess.Popen(command, env=given, stdout=file, stderr=file), token)
    finally:
        os.sched_setaffinity(0, usual)
    try:
        yield family
    finally:
        family.kill()
