"""The layers that every request passes on its way in, in their order."""

from typing import Any

from fastapi import FastAPI

from service.access import Access
from service.deadlines import Deadlines
from service.errors import Faults
from service.gate import Gate
from service.keys import Keys
from service.middleware import BodyLimit, HeadRequests, RequestIds
from service.plain_route import DirectRoutes
from service.rate import Rate
from service.runtime import Runtime
from service.telemetry import Telemetry


def install(app: FastAPI, runtime: Runtime) -> None:
    """What is cheap and refuses much stands outside; each raises what it refuses with, and Faults answers it."""
    settings = runtime.settings
    rate = Rate.parse(settings.rate_limit) if settings.rate_limit else None
    tracing: list[tuple[Any, dict[str, Any]]] = []
    if runtime.spans is not None:
        from service.spans import Traced  # it brings the SDK of OpenTelemetry, which is an extra

        tracing.append((Traced, {"spans": runtime.spans}))
    layers: list[tuple[Any, dict[str, Any]]] = [
        (RequestIds, {}),
        *tracing,
        (Telemetry, {"metrics": runtime.metrics}),
        (Faults, {}),
        (
            Access,
            {"keys": Keys(settings.keys), "rate": rate, "administrators": Keys(settings.administrators)},
        ),
        (
            Deadlines,
            {
                "open_requests": runtime.open_requests,
                "timeout_s": settings.request_timeout_s,
                "max_timeout_s": settings.max_request_timeout_s,
                "body_timeout_s": settings.body_timeout_s,
            },
        ),
        (BodyLimit, {"limit": settings.max_body_bytes}),
        (Gate, {"admission": runtime.admission, "estimates": runtime.estimates}),
        (HeadRequests, {}),
        (DirectRoutes, {"routes": app.router.routes}),
    ]
    for layer, options in reversed(layers):  # the last added is the outermost
        app.add_middleware(layer, **options)
