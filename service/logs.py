"""Log lines: for people, or JSON objects for programs. Imports little, since decode workers log, too."""

import datetime
import logging
from enum import StrEnum
from typing import Any

import orjson

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LogFormat(StrEnum):
    """Lines for people, or JSON objects for programs."""

    TEXT = "text"
    JSON = "json"


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
