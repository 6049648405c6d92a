"""A real server in a process of its own, and what becomes of its requests when it is told to end."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.wakeups import wakeups

ROOT = Path(__file__).resolve().parents[2]
SLOW_S = 1.0
PATIENCE_S = 120


@dataclass
class Server:
    process: "subprocess.Popen[str]"
    port: int = 0
    said: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status, {name.lower(): value for name, value in response.getheaders()}

    def processes(self) -> list[psutil.Process]:
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if address := re.search(r"http://[^:]+:(\d+)/docs", line):
                self.port = int(address[1])

    def await_announcement(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self.port:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def until(self, path: str, status: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.ask("GET", path)[0] != status:
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)


@contextmanager
def started(*arguments: str, **settings: str) -> Iterator[Server]:
    """What Python is told to run, which is some server."""
    chosen = {f"UNIREPLKNET_{name.upper()}": value for name, value in {"port": "0", **settings}.items()}
    environment = {**os.environ, **chosen, "COLUMNS": "200", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        server = Server(process)
        listener = threading.Thread(target=server.listen, daemon=True)
        listener.start()
        try:
            yield server
        finally:
            process.kill()
            listener.join(PATIENCE_S)


@contextmanager
def serving(**settings: str) -> Iterator[Server]:
    """A server whose model takes SLOW_S for a batch."""
    with started("-m", "benchmarks.slow_server", str(SLOW_S), "0", **settings) as server:
        server.await_announcement()
        yield server


class Asking(threading.Thread):
    """A request that is under way."""

    def __init__(self, server: Server, **headers: str) -> None:
        super().__init__(daemon=True)
        self.server, self.headers, self.status = server, headers, 0
        self.start()

    def run(self) -> None:
        with suppress(OSError, http.client.HTTPException):
            self.status, _ = self.server.ask("POST", "/classify/image", b"x", **self.headers)


def until_waiting(server: Server, count: int) -> None:
    """So many requests have been let in."""
    deadline = time.monotonic() + PATIENCE_S
    waiting = -1
    while waiting != count:
        assert time.monotonic() < deadline, server.said
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        waiting = round(float(re.findall(r"^unireplknet_waiting_items (\S+)", text, re.M)[0]))
        time.sleep(0.01)


def test_a_server_serves_notices_departures_and_ends_in_order() -> None:
    with serving(max_batch_size="1", log_format="json") as server:
        first = Asking(server)
        until_waiting(server, 1)
        leaving = http.client.HTTPConnection("127.0.0.1", server.port)
        leaving.request("POST", "/classify/image", b"x", {"X-Request-Id": "leaves"})
        until_waiting(server, 2)
        leaving.close()
        until_waiting(server, 1)
        inside = [first, *(Asking(server) for _ in range(2))]
        uploading = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        uploading.putrequest("POST", "/classify/image")
        uploading.putheader("Content-Length", "1")
        uploading.endheaders()
        until_waiting(server, 4)

        server.process.send_signal(signal.SIGSTOP)
        inside.append(Asking(server))  # it is sent, and not read yet
        time.sleep(0.5)
        for process in server.processes():  # as service managers do
            process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGCONT)
        server.until("/health/ready", 503)
        assert server.ask("GET", "/health/live")[0] == 200
        server.until("/nowhere", 503)
        status, headers = server.ask("POST", "/classify/image", b"x")
        assert (status, headers["connection"]) == (503, "close")
        uploading.send(b"x")
        assert uploading.getresponse().status == 200
        uploading.close()
        for asking in inside:
            asking.join(PATIENCE_S)
        assert [asking.status for asking in inside] == [200] * 4
        assert server.process.wait(PATIENCE_S) == 0
    lines = [json.loads(line) for line in server.said]
    statuses = [line["status"] for line in lines if line.get("path") == "/classify/image"]
    assert sorted(statuses) == [200, 200, 200, 200, 200, 499, 503]
    assert [line["status"] for line in lines if line.get("request_id") == "leaves"] == [499]
    assert [line for line in lines if line["level"] == "error"] == []


def test_proxies_have_time_to_notice_the_end_of_a_server_that_goes_on_answering() -> None:
    with serving(drain_notice_s="4") as server:
        server.process.send_signal(signal.SIGTERM)
        server.until("/health/ready", 503)
        assert server.ask("GET", "/health/live")[0] == 200
        assert server.ask("POST", "/classify/image", b"x")[0] == 200
        assert server.process.wait(PATIENCE_S) == 0


def test_an_idle_server_rests_and_a_second_signal_ends_it_at_once_with_all_its_processes() -> None:
    with serving() as server:
        assert server.ask("POST", "/classify/image", b"x")[0] == 200
        processes = server.processes()
        assert len(processes) > 1
        time.sleep(0.5)
        before = wakeups(processes)
        time.sleep(2.0)
        assert wakeups(processes) - before < 150  # a single poll every 10 ms would make it 200

        for _ in range(5):
            Asking(server)
        until_waiting(server, 5)
        server.process.send_signal(signal.SIGTERM)
        server.until("/health/ready", 503)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_S) == 128 + signal.SIGTERM
        _, alive = psutil.wait_procs(processes[1:], timeout=PATIENCE_S / 6)
        assert alive == []


def test_a_port_that_is_in_use_is_told_in_one_line_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with started("-m", "benchmarks.slow_server", "0", "0", port=port) as server:
            assert server.process.wait(PATIENCE_S) == 1
    (line,) = server.said
    assert f"cannot listen on port {port} of 127.0.0.1 (Address already in use)" in line
    assert "choose another --port" in line


def test_told_to_end_while_models_load_it_ends_and_announces_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    hours = "10000"
    with started("-m", "benchmarks.slow_server", hours, "0", port=str(port), drain_notice_s=hours) as server:
        server.port = port
        until_listening(server)
        assert server.ask("GET", "/health/ready")[0] == 503
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_S) == 0
    told = "".join(server.said)
    assert "/docs" not in told
    assert "CRITICAL" not in told
    assert "Traceback" not in told


def until_listening(server: Server) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert server.process.poll() is None, server.said
        assert time.monotonic() < deadline, server.said
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", server.port)).close()
            return
        time.sleep(0.02)


SIGNALLED_EARLY = """
import os, signal
from service import server
from service.loading import NamedLoad
from service.settings import Settings

run = server.DrainingServer.run

def signalled(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    run(*arguments)

server.DrainingServer.run = signalled
server.run_server(Settings(device="cpu"), NamedLoad("benchmarks.null_model:slow_pipelines", (0.0, 0.0)))
"""


def test_a_signal_that_comes_before_the_event_loop_runs_is_not_lost() -> None:
    with started("-c", SIGNALLED_EARLY) as server:
        assert server.process.wait(PATIENCE_S) == 0
    assert "/docs" not in "".join(server.said)


def test_a_server_whose_models_cannot_be_loaded_says_why_and_ends(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    with started("-m", "service", "serve", checkpoints=str(broken), decode_workers="1") as server:
        assert server.process.wait(PATIENCE_S) == 1
    told = [line for line in server.said if "CRITICAL" in line]
    assert len(told) == 1
    assert "the models cannot be loaded" in told[0]
    assert str(broken) in told[0]
    assert "Traceback" not in "".join(server.said)
