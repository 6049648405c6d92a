"""One line of the log for each request."""

import logging
import re

from starlette.types import Scope

from service.headers import header
from service.probes import is_probe

ACCESS = logging.getLogger("service.access")
TRACE_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context


def log_access(scope: Scope, status: int, seconds: float) -> None:
    """The request's line. Probes are logged at level debug."""
    level = logging.DEBUG if is_probe(scope["path"]) else logging.INFO
    if not ACCESS.isEnabledFor(level):
        return
    call = scope.get("call")
    fields = {
        "request_id": scope["request_id"],
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": round(1e3 * seconds, 3),
        "model": call.model if call else None,
        "code": scope.get("problem"),
        "trace_id": scope.get("trace_id") or _trace_id(scope),
    }
    told = {name: value for name, value in fields.items() if value is not None}
    ACCESS.log(level, "%s", " ".join(map(_printable, told.values())), extra={"fields": told})


def _printable(value: object) -> str:
    """A path may hold line breaks, which must not become lines of the log."""
    text = str(value)
    return text if text.isprintable() else repr(text)


def _trace_id(scope: Scope) -> str | None:
    """Of the trace that the client's request belongs to, by its `traceparent`."""
    found = TRACE_PARENT.fullmatch(header(scope, b"traceparent") or "")
    return found[1] if found else None
