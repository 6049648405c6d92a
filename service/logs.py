"""The server's log: lines for people, or JSON objects for programs; one line for each request."""

import datetime
import logging
import re
from typing import Any

import orjson
from starlette.types import Scope

from service.headers import header
from service.probes import is_probe
from service.settings import LogFormat

ACCESS = logging.getLogger("service.access")
TRACE_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, the fields of an access line, and a traceback where one is."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        entry: dict[str, Any] = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(entry, default=str).decode()


FORMATTERS: dict[LogFormat, logging.Formatter] = {
    LogFormat.TEXT: logging.Formatter(TEXT),
    LogFormat.JSON: JsonFormatter(),
}


def configure(level: str, log_format: LogFormat) -> None:
    """Log to the standard error stream, this program's and its libraries' lines alike."""
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATTERS[log_format])
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


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
