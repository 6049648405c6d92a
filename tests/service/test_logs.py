import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Receive, Scope

from service import logs
from service.call import Call
from service.errors import Faults, Problem
from service.logs import FORMATTERS, LogFormat
from service.metrics import Metrics
from service.middleware import RequestIds
from service.telemetry import Telemetry
from tests.service.asgi import Client, Endpoint, answering, read_all


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What the server's loggers write as JSON."""
    text, handler, logger = io.StringIO(), logging.StreamHandler(), logging.getLogger("service")
    handler.setStream(text)
    handler.setFormatter(FORMATTERS[LogFormat.JSON])
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield text
    logger.removeHandler(handler)
    logger.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def ask(endpoint: Endpoint, path: str = "/classify/image", **headers: str) -> None:
    app = RequestIds(Telemetry(Faults(answering(endpoint)), Metrics()))
    asyncio.run(Client(**headers).ask(app, path))


def test_every_request_is_one_line_that_says_what_became_of_it(stream: io.StringIO) -> None:
    async def work(scope: Scope, receive: Receive) -> None:
        scope["call"] = Call(model="tiny")

    ask(work, x_request_id="abc-1")
    (line,) = lines(stream)
    assert line.pop("ms") >= 0
    assert line.pop("time").endswith("+00:00")
    assert line.pop("message").startswith("abc-1 POST /classify/image 200 ")
    assert line == {
        "level": "info", "logger": "service.access", "request_id": "abc-1", "method": "POST",
        "path": "/classify/image", "status": 200, "model": "tiny",
    }  # fmt: skip


def test_a_refusal_is_logged_with_its_code(stream: io.StringIO) -> None:
    async def refuse(scope: Scope, receive: Receive) -> None:
        raise Problem(404, "model_not_found", "no such model")

    ask(refuse)
    (line,) = lines(stream)
    assert (line["status"], line["code"]) == (404, "model_not_found")


def test_a_fault_is_logged_with_its_traceback_under_the_same_id(stream: io.StringIO) -> None:
    async def fail(scope: Scope, receive: Receive) -> None:
        raise RuntimeError("broken")

    ask(fail, x_request_id="abc-2")
    fault, access = lines(stream)
    assert "abc-2" in fault["message"]
    assert "RuntimeError: broken" in fault["exception"]
    assert (access["request_id"], access["status"], access["code"]) == ("abc-2", 500, "internal")


def test_probes_are_not_logged(stream: io.StringIO) -> None:
    ask(read_all, "/health/ready")
    ask(read_all, "/metrics")
    assert lines(stream) == []


def test_the_trace_of_the_client_is_named(stream: io.StringIO) -> None:
    ask(read_all, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    ask(read_all, traceparent="nonsense")
    with_trace, without = lines(stream)
    assert with_trace["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert "trace_id" not in without


@pytest.mark.parametrize("log_format", LogFormat)
def test_a_path_with_line_breaks_is_one_line(log_format: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure("info", log_format)
        ask(read_all, "/a\nFORGED 2026 line")
        assert len(capsys.readouterr().err.splitlines()) == 1
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
