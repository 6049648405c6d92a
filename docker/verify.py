#!/usr/bin/env python3
"""Prove that the images build and that the compose files keep what they promise, on the Docker engine that answers.

From the repository root:  python3 docker/verify.py [--build-arg NAME=VALUE ...]

It builds, brings the server up, sends the README's curl lines, ends it with requests in flight, crashes it; then two
replicas behind the proxy are replaced one after the other under load. It takes the port 8000 of 127.0.0.1 and ends with
`down`. Needs Docker with the compose plugin, curl, and nothing but Python's library. Exit status: 0 if all passed,
1 if not, 2 where there is no engine.
"""

import argparse
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PHOTO = ROOT / "examples" / "t-shirt.jpg"
ADDRESS = "127.0.0.1", 8000
PATIENCE_S = 300
IN_FLIGHT = 8
CLIENTS = 4
SIGTERM_LEAD_S = 0.3
SERVER_PID = "open('/proc/1/task/1/children').read().split()[0]"  # what tini has started


class Failed(Exception):
    """A promise that is not kept."""


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def require(kept: bool, what: str) -> None:
    if not kept:
        raise Failed(what)


def output(*command: str) -> str:
    """What a command printed. Raises Failed with its last lines."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    require(done.returncode == 0, f"{' '.join(command)}: {(done.stdout + done.stderr).strip()[-1500:]}")
    return done.stdout.strip()


@dataclass(frozen=True)
class Stack:
    """Compose files under a project name of their own."""

    files: Sequence[str]
    arguments: Sequence[str] = ()

    def __call__(self, *command: str) -> str:
        files = [word for file in self.files for word in ("-f", f"docker/{file}")]
        return output("docker", "compose", "--ansi", "never", "-p", "unireplknet-verify", *files, *command)

    def build(self, *services: str) -> None:
        self("build", *(word for argument in self.arguments for word in ("--build-arg", argument)), *services)

    def up(self, *services: str) -> None:
        self("up", "--detach", "--wait", "--wait-timeout", str(PATIENCE_S), *services)

    def container(self, service: str) -> str:
        return self("ps", "--all", "--quiet", service)

    def inside(self, service: str, code: str) -> str:
        """What a line of Python prints in the service's container."""
        return self("exec", "-T", service, "python", "-c", code)

    @contextmanager
    def torn_down(self) -> Iterator[None]:
        try:
            yield
        finally:
            self("--profile", "*", "down", "--volumes", "--timeout", "20")


def inspect(kind: str, name: str, field: str) -> str:
    return output("docker", kind, "inspect", "--format", f"{{{{{field}}}}}", name)


@dataclass
class Load:
    """Clients that post a photograph again and again, each over its own connection, until they are told to stop."""

    clients: int
    statuses: "Counter[int | str]" = field(default_factory=Counter)
    slowest_s: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask_on) for _ in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _ask_on(self) -> None:
        connection = http.client.HTTPConnection(*ADDRESS, timeout=PATIENCE_S)
        while not self._stop.is_set():
            started = time.monotonic()
            self.statuses[post(connection)] += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)
        connection.close()


def post(connection: http.client.HTTPConnection) -> int | str:
    """The status that answers the photograph, or the name of what happened instead."""
    try:
        connection.request("POST", "/classify/image", PHOTO.read_bytes(), {"Content-Type": "image/jpeg"})
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return type(error).__name__


def ready() -> bool:
    connection = http.client.HTTPConnection(*ADDRESS, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        require(time.monotonic() < deadline, f"{what}: not after {PATIENCE_S} s")
        time.sleep(0.2)


def readme_lines() -> list[str]:
    """The README's curl commands."""
    return re.findall(r"^curl .*$", (ROOT / "README.md").read_text(), re.M)


def it_builds(stack: Stack) -> str:
    stack.build("perception")
    return f"{int(inspect('image', 'unireplknet-service:cpu', '.Size')) / 1e6:.0f} MB"


def it_comes_up_healthy(stack: Stack) -> str:
    stack.up("perception")
    require(ready(), "GET /health/ready is not 200 though the container is healthy")
    return "GET /health/ready: 200"


def it_answers_the_readme(stack: Stack) -> str:
    lines = readme_lines()
    require(len(lines) >= 5, f"the README has {len(lines)} curl lines, expected at least 5")
    for line in lines:
        answer = json.loads(output("bash", "-c", line.replace("curl ", "curl --silent --show-error --fail ", 1)))
        say(f"     | {answer['model']}: {json.dumps(answer.get('predictions') or answer.get('forecast'))[:90]}")
    return f"{len(lines)} curl lines"


def it_is_confined(stack: Stack) -> str:
    """No root, nothing to write to, and as many threads as the CPU limit allows."""
    read_only = inspect("container", stack.container("perception"), ".HostConfig.ReadonlyRootfs")
    require(read_only == "true", "the root file system can be written to")
    user = stack.inside("perception", "import os; print(os.getuid())")
    require(user != "0", "the server runs as root")
    writable = stack.inside("perception", "import os; print([p for p in ('/app', '/models') if os.access(p, os.W_OK)])")
    require(writable == "[]", f"the server may write to {writable}")
    threads = stack.inside("perception", "from service.engine.cpu_limit import cpu_limit; print(cpu_limit())")
    require(threads == "1", f"with CPUS=1 the server computes in {threads} threads")
    return f"uid {user}, read-only, one thread with CPUS=1"


def it_answers_who_is_there_when_it_ends(stack: Stack) -> str:
    container = stack.container("perception")
    statuses: Counter[int | str] = Counter()

    def ask() -> None:
        statuses[post(http.client.HTTPConnection(*ADDRESS, timeout=PATIENCE_S))] += 1

    threads = [threading.Thread(target=ask) for _ in range(IN_FLIGHT)]
    for thread in threads:
        thread.start()
    time.sleep(SIGTERM_LEAD_S)
    stack("stop", "perception")
    for thread in threads:
        thread.join()
    require(statuses == {200: IN_FLIGHT}, f"requests in flight at SIGTERM ended as {dict(statuses)}")
    code = inspect("container", container, ".State.ExitCode")
    require(code == "0", f"exit status {code}; 137 is a kill after the grace time")
    return f"{IN_FLIGHT} of {IN_FLIGHT} requests in flight answered, exit status 0"


def it_comes_back_after_a_crash(stack: Stack) -> str:
    stack.up("perception")
    container = stack.container("perception")
    stack.inside("perception", f"import os; os.kill(int({SERVER_PID}), 9)")
    until(lambda: inspect("container", container, ".RestartCount") != "0", "a restart")
    until(ready, "readiness after a crash")
    return "the server was killed, restarted and is ready"


def replicas_come_up(stack: Stack) -> str:
    stack.build("proxy")
    stack.up()
    require(ready(), "GET /health/ready through the proxy is not 200")
    return f"proxy {int(inspect('image', 'unireplknet-proxy', '.Size')) / 1e6:.0f} MB"


def replicas_are_replaced_under_load(stack: Stack) -> str:
    load = Load(CLIENTS)
    with load.running():
        for service in ("perception", "perception-2"):
            stack.up("--force-recreate", "--no-deps", service)
            before = load.statuses.total()
            until(lambda before=before: load.statuses.total() > before + 2 * CLIENTS, "more answers")  # type: ignore[misc]
    require(set(load.statuses) == {200}, f"answers while replicas were replaced: {dict(load.statuses)}")
    shares = [stack("logs", service).count("/classify/image") for service in ("perception", "perception-2")]
    require(min(shares) > 0, f"requests that the new replicas saw: {shares}")
    return f"{load.statuses.total()} requests, none failed, the slowest took {load.slowest_s:.1f} s"


Check = Callable[[Stack], str]
SINGLE: list[Check] = [
    it_builds,
    it_comes_up_healthy,
    it_answers_the_readme,
    it_is_confined,
    it_answers_who_is_there_when_it_ends,
    it_comes_back_after_a_crash,
]
SCALED: list[Check] = [replicas_come_up, replicas_are_replaced_under_load]


def run(stack: Stack, checks: Sequence[Check]) -> bool:
    """Each builds on the one before it, so the first failure ends them."""
    for check in checks:
        started = time.monotonic()
        name = check.__name__.replace("_", " ")
        try:
            told = check(stack)
        except Failed as failure:
            say(f"FAIL {name}: {failure}")
            say(stack("logs", "--tail", "30"))
            return False
        say(f"PASS {name}: {told} ({time.monotonic() - started:.1f} s)")
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE", help="for docker build")
    arguments = parser.parse_args().build_arg
    try:
        engine = output("docker", "version", "--format", "{{.Server.Version}}")
        say(f"Docker {engine}, {output('docker', 'compose', 'version')}")
    except (Failed, FileNotFoundError) as error:
        say(f"No Docker engine with the compose plugin answers, and this proof needs one: {error}")
        return 2
    os.environ |= {"CPUS": "1", "PUBLISH": ":".join(map(str, ADDRESS))}
    passed = []
    for files, checks in ((["compose.yaml"], SINGLE), (["compose.yaml", "compose.scale.yaml"], SCALED)):
        stack = Stack(files, arguments)
        with stack.torn_down():
            passed.append(run(stack, checks))
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
