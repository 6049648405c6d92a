"""R18: one replica after the other is replaced under load, behind the proxy of `docker/`, as it is set up there."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import psutil

from benchmarks.reliability.asking import Client, Reply
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.reliability.load import asking
from benchmarks.reliability.server import Server, free_port
from benchmarks.running_server import running, wait_until_ready
from service.settings import EMBEDDED_CHECKPOINTS

ROOT = Path(__file__).resolve().parents[2]
PROXY = ROOT / "docker" / "proxy" / "haproxy.cfg"
PHOTO = (ROOT / "examples" / "t-shirt.jpg").read_bytes()
REPLICAS, CLIENTS = 2, 4
SETTLED_S = 10.0  # between the changes, and after them
SETTINGS = {
    "CHECKPOINTS": str(EMBEDDED_CHECKPOINTS / "clothing10.safetensors"),
    "DRAIN_NOTICE_S": "5",  # as in compose.scale.yaml
    "LOG_LEVEL": "critical",
    "LOG_FORMAT": "json",
}


def rolling_restart(conditions: Conditions) -> list[Finding]:
    ports = [free_port() for _ in range(REPLICAS)]
    with ExitStack() as all_replicas:
        replicas = {port: all_replicas.enter_context(ExitStack()) for port in ports}
        for port, kept in replicas.items():
            kept.enter_context(replica(port))
        with behind_proxy(ports) as proxy, asking(proxy, classify, CLIENTS) as replies:
            for port, kept in replicas.items():
                kept.close()
                kept.enter_context(replica(port))
                time.sleep(conditions.seconds(SETTLED_S))
        served = [Server(proxy.process, port).metric("requests_total") for port in ports]
    return [
        Finding("requests", len(replies)),
        exactly("answers other than 200", sum(reply.status != 200 for reply in replies)),
        Finding("requests that each new replica has answered, at least", min(served), at_least=1),
        Finding("longest time to an answer, s", max(reply.seconds for reply in replies)),
    ]


def classify(client: Client, number: int) -> Reply:
    return client.post("/classify/image", PHOTO, content_type="image/jpeg")


def replica(port: int) -> AbstractContextManager[psutil.Process]:
    """Ready at first; told to end, and gone, at last."""
    return running("service", ["serve"], port, {"PORT": str(port), **SETTINGS})


@contextmanager
def behind_proxy(ports: Sequence[int]) -> Iterator[Server]:
    """The proxy, of which a request is known to reach a replica. Raises FileNotFoundError without HAProxy."""
    if shutil.which("haproxy") is None:
        raise FileNotFoundError("R18 needs haproxy, which is not on the PATH: install the package of that name")
    own = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(configuration(own, ports))
        file.flush()
        with subprocess.Popen(["haproxy", "-db", "-f", file.name], stdout=subprocess.DEVNULL) as proxy:
            try:
                wait_until_ready(own)
                yield Server(psutil.Process(proxy.pid), own)
            finally:
                proxy.terminate()


def configuration(own: int, ports: Sequence[int]) -> str:
    """The container's, but for its addresses. Raises ValueError where it has none of the kind that is known here."""
    servers = "\n".join(f"    server replica-{port} 127.0.0.1:{port}" for port in ports)
    text, binds = re.subn(r"bind :8000", f"bind 127.0.0.1:{own}", PROXY.read_text())
    text, templates = re.subn(r"^ *server-template .*$", servers, text, flags=re.M)
    if (binds, templates) != (1, 1):
        raise ValueError(f"{PROXY} has {binds} lines `bind :8000` and {templates} `server-template`, expected one each")
    return text
