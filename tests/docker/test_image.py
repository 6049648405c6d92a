"""What goes into the image, and how it starts."""

import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tests.docker.conftest import DOCKER

ROOT = DOCKER.parent
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
ALLOWED = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]


def test_only_what_the_server_needs_goes_into_the_image() -> None:
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
    assert all(list(ROOT.glob(pattern)) for pattern in ALLOWED)
    assert {"kernels", "models", "preprocessors", "service", "training"} <= set(ALLOWED)
    assert not [name for name in ALLOWED if name.startswith((".", "tests", "runs"))]


def test_both_targets_share_every_step_but_torch_and_the_compiler() -> None:
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.M | re.S))
    parents = {name: parent for parent, name in re.findall(r"^FROM (\S+) AS (\S+)", DOCKERFILE, re.M)}
    assert parents["cpu"] == parents["cuda"] == "runtime"
    assert parents["requirements-cpu"] == parents["requirements-cuda"] == "requirements"
    assert list(stages)[-1] == "cpu"  # what `docker build` makes where no target is named
    cpu, cuda = (
        [line.replace(f"-{name}", "") for line in stages[name].splitlines() if line.startswith("COPY")]
        for name in ("cpu", "cuda")
    )
    assert cpu == cuda
    assert re.findall(r"recommends (.*) \\", stages["cuda"]) == ["gcc libc6-dev"]


def test_the_server_is_no_root_and_receives_signals_itself() -> None:
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.M)
    assert users[0] == users[-1] == "10001:10001"
    assert 'ENTRYPOINT ["tini", "--", "unireplknet"]' in DOCKERFILE
    assert 'CMD ["serve"]' in DOCKERFILE


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1)])
def test_the_health_check_asks_for_readiness(status: int, expected: int) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """The test's output is for the test."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        environment = {"UNIREPLKNET_PORT": str(server.server_port)}
        done = subprocess.run([sys.executable, DOCKER / "healthcheck.py"], env=environment, capture_output=True)
        thread.join(10)
    assert (done.returncode, asked) == (expected, ["/health/ready"])
