"""OpenTelemetry spans: a request, and within it for every input its decoding, its waiting and its forward pass.

Imported only where traces are wanted.
"""

import time
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from opentelemetry import propagate
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_trace_id, use_span
from opentelemetry.util.types import AttributeValue
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import CLIENT_CLOSED_REQUEST
from service.http_layer import HttpLayer
from service.probes import is_probe

if TYPE_CHECKING:
    from service.runtime import Perceived

EXPORTERS = "opentelemetry_traces_exporter"  # entry points of the SDK and of its exporters
OTLP = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
SERVER_ERROR = 500


def make_provider(environment: Mapping[str, str]) -> TracerProvider:
    """The SDK reads samplers, limits, resources and endpoints from the environment; the exporters are named there, too.

    Raises ValueError for an exporter that is not installed.
    """
    provider = TracerProvider()
    for name in environment.get("OTEL_TRACES_EXPORTER", "otlp").split(","):
        provider.add_span_processor(BatchSpanProcessor(_exporter(name.strip(), environment)))
    return provider


def _exporter(name: str, environment: Mapping[str, str]) -> Any:
    of_all = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", of_all)
    entry = OTLP.get(protocol, protocol) if name == "otlp" else name
    found = entry_points(group=EXPORTERS, name=entry)
    if not found:
        known = ", ".join(sorted(entry_points(group=EXPORTERS).names))
        raise ValueError(f"the exporter {entry!r} of OTEL_TRACES_EXPORTER is not installed; available: {known}")
    return next(iter(found)).load()()


class Spans:
    """Of one server. Times are counted back from now, as they were measured."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("service")

    def request(self, scope: Scope) -> Span:
        """Begun; in the trace of the client where it sent one by W3C `traceparent`."""
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"], "url.scheme": scope["scheme"]}
        context = propagate.extract(Headers(scope=scope))
        return self._tracer.start_span(scope["method"], context, SpanKind.SERVER, attributes)

    def perceived(self, model: str, item: "Perceived") -> None:
        """An input has been perceived, this moment; within the request's span."""
        phases = {
            "wait for a decode worker": item.decode_wait_ms,
            "decode": item.decode_ms,
            "queue": item.queue_ms - item.decode_wait_ms,
            "forward": item.forward_ms,
        }
        attributes: dict[str, AttributeValue] = {"model": model, "batch_size": item.batch_size}
        begins = time.time_ns() - sum(map(_ns, phases.values()))
        for name, ms in phases.items():
            span = self._tracer.start_span(name, attributes=attributes, start_time=begins)
            begins += _ns(ms)
            span.end(begins)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _ns(ms: float) -> int:
    return round(1e6 * ms)


class Traced(HttpLayer):
    """A span around every request but the probes. Its trace is noted for the log, as `trace_id`."""

    def __init__(self, app: ASGIApp, spans: Spans) -> None:
        super().__init__(app)
        self.spans = spans

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_probe(scope["path"]):
            await self.app(scope, receive, send)
            return
        status = CLIENT_CLOSED_REQUEST

        async def noted_send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        span = self.spans.request(scope)
        scope["trace_id"] = format_trace_id(span.get_span_context().trace_id)
        with use_span(span, end_on_exit=True):
            try:
                await self.app(scope, receive, noted_send)
            finally:
                _describe(span, scope, status)


def _describe(span: Span, scope: Scope, status: int) -> None:
    """By the semantic conventions for HTTP servers."""
    route = getattr(scope.get("route"), "path", None)
    if route is not None:
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    if "problem" in scope:
        span.set_attribute("error.type", scope["problem"])
    if status >= SERVER_ERROR:
        span.set_status(Status(StatusCode.ERROR))
