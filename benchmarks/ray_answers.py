"""Whether two servers with the same models give the same answers, to the last bit of every score."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.running_server import running
from service.settings import Settings

VOLATILE = {"id", "request_id", "timing_ms", "batch_size"}
EXAMPLES = Path("examples")
FILES = {"image": "t-shirt.jpg", "audio": "six.wav", "video": "pan-right.mp4", "pointcloud": "walker.ply"}
PAGES = ("/", "/docs", "/openapi.json", "/playground/app.js", "/models", "/limits", "/health/live", "/health/ready")
PORT = 8771


class Question(NamedTuple):
    method: str
    path: str
    body: bytes = b""


class Reply(NamedTuple):
    """Without what differs from request to request."""

    status: int
    content_type: str | None
    content: Any


def questions() -> list[Question]:
    """Every endpoint, and what each refuses."""
    asked = [Question("GET", path) for path in (*PAGES, "/models/clothing10", "/labels/clothing10", "/models/none")]
    for sense, name in FILES.items():
        file = (EXAMPLES / name).read_bytes()
        classify, embed = f"/classify/{sense}", f"/embed/{sense}"
        asked += [Question("POST", path, file) for path in (f"{classify}?top_k=0", embed, f"{classify}?top_k=-1")]
        asked += [Question("POST", classify, body) for body in (b"", b"no file of any kind", file[: len(file) // 3])]
    stations = (EXAMPLES / "stations.json").read_bytes()
    asked += [Question("POST", f"/forecast/weather{form}", stations) for form in ("", "?format=plot", "?horizon=99")]
    return [*asked, Question("GET", "/nowhere"), Question("DELETE", "/models")]


def ask(port: int, question: Question) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request(question.method, question.path, question.body)
    response = connection.getresponse()
    body, kind = response.read(), response.getheader("content-type")
    connection.close()
    return Reply(response.status, kind, _steady(json.loads(body)) if kind and "json" in kind else body)


def differences(one: int, other: int) -> tuple[int, list[str]]:
    """Between the servers at two ports: how many questions were asked, and which were answered differently."""
    asked = questions()
    different = [q for q in asked if ask(one, q) != ask(other, q)]
    return len(asked), [f"{method} {path}, {len(body)} bytes" for method, path, body in different]


@contextmanager
def plain_server(settings: Settings) -> Iterator[int]:
    """The port of a server without Ray."""
    given = settings.model_dump(mode="json", include=settings.model_fields_set - {"port"})
    chosen = {name.upper(): str(value) for name, value in {**given, "port": PORT, "log_level": "warning"}.items()}
    with running("service", ["serve"], PORT, chosen):
        yield PORT


def _steady(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _steady(value) for name, value in content.items() if name not in VOLATILE}
    return [_steady(value) for value in content] if isinstance(content, list) else content
