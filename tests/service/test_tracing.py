"""Spans, where they are asked for; the SDK keeps them in memory."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service import runtime, tracing
from service.app import create_app
from service.settings import Settings
from tests.service.conftest import encoded, picture, wait_until_ready

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service import spans
from service.spans import Spans, make_provider

ROOT = Path(__file__).resolve().parents[2]
PNG = encoded(picture())
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def traced(tiny_checkpoint: Path) -> Iterator[tuple[TestClient, InMemorySpanExporter]]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    settings = Settings(checkpoints=(tiny_checkpoint,), device="cpu", decode_workers=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "spans_of", lambda: Spans(provider))
        app = create_app(settings)
    with TestClient(app) as client:
        wait_until_ready(client)
        yield client, exporter


def ask(traced: tuple[TestClient, InMemorySpanExporter], **request: Any) -> dict[str, ReadableSpan]:
    """The spans of one request, by name."""
    client, exporter = traced
    exporter.clear()
    client.post("/classify/image", **request)
    return {span.name: span for span in exporter.get_finished_spans()}


def test_a_request_is_a_span_with_its_phases_inside(traced: Any) -> None:
    found = ask(traced, content=PNG)
    phases = ["wait for a decode worker", "decode", "queue", "forward"]
    assert list(found) == [*phases, "POST /classify/image"]
    request = found["POST /classify/image"]
    attributes = dict(request.attributes or {})
    assert (attributes["http.response.status_code"], attributes["http.route"]) == (200, "/classify/image")
    ends = request.start_time or 0
    for name in phases:
        span = found[name]
        assert span.parent is not None
        assert request.context is not None
        assert span.parent.span_id == request.context.span_id
        assert (span.attributes or {})["model"] == "tiny"
        assert ends <= (span.start_time or 0) <= (span.end_time or 0) <= (request.end_time or 0)
        ends = span.end_time or 0


def test_a_client_s_trace_is_gone_on_with(traced: Any) -> None:
    found = ask(traced, content=PNG, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    request = found["POST /classify/image"]
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == PARENT
    assert {f"{span.context.trace_id:032x}" for span in found.values() if span.context} == {TRACE}


def test_a_refusal_is_told_by_its_code(traced: Any) -> None:
    (span,) = ask(traced, content=b"no picture").values()
    attributes = dict(span.attributes or {})
    assert attributes["error.type"] == "unsupported_media_type"
    assert (attributes["http.response.status_code"], span.status.is_ok) == (415, True)


def test_the_log_names_the_trace(traced: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "service.access"):
        request = ask(traced, content=PNG)["POST /classify/image"]
    assert request.context is not None
    assert f"{request.context.trace_id:032x}" in caplog.text


def test_probes_are_not_traced(traced: Any) -> None:
    client, exporter = traced
    exporter.clear()
    client.get("/health/ready")
    client.get("/metrics")
    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "eyes"}, False),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_traces_are_made_where_the_standard_variables_ask(environment: dict[str, str], wanted: bool) -> None:
    assert tracing.is_wanted(environment) is wanted


def test_the_exporters_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def processor(exporter: Any) -> SimpleSpanProcessor:
        made.append(exporter)
        return SimpleSpanProcessor(exporter)

    monkeypatch.setattr(spans, "BatchSpanProcessor", processor)
    make_provider({"OTEL_TRACES_EXPORTER": "otlp,console"}).shutdown()
    assert [type(exporter).__name__ for exporter in made] == ["OTLPSpanExporter", "ConsoleSpanExporter"]
    with pytest.raises(ValueError, match="'pigeon' of OTEL_TRACES_EXPORTER is not installed; available: .*otlp"):
        make_provider({"OTEL_TRACES_EXPORTER": "pigeon"})


def test_where_the_extra_is_absent_a_warning_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "service.spans", None)
    assert tracing.spans_of({"OTEL_TRACES_EXPORTER": "otlp"}) is None
    assert "install the extra otel" in caplog.text


def test_a_server_that_is_not_traced_does_not_import_the_sdk() -> None:
    """Only service/spans.py does, and nobody imports that but inside a function."""
    for path in (ROOT / "service").rglob("*.py"):
        imported = {node.module for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)}
        assert "service.spans" not in imported, path
        assert path.name == "spans.py" or not any(str(name).startswith("opentelemetry") for name in imported), path
