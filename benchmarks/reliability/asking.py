"""A client on one connection. It reads whole answers and never raises: where no answer came, the status is 0."""

import http.client
import time
from dataclasses import dataclass, field
from typing import Any

import orjson

from service.bench.open_loop import KEPT_S

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Reply:
    """began, ended: on the monotonic clock. sent: whether the whole request was written; when, is `written`."""

    status: int
    began: float
    ended: float
    written: float | None = None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Client:
    """Of one thread."""

    def __init__(self, port: int, patience_s: float = PATIENCE_S) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience_s)
        self._used = time.monotonic()

    def post(self, path: str, body: bytes, **headers: str) -> Reply:
        return self.ask("POST", path, body, **headers)

    def get(self, path: str) -> Reply:
        return self.ask("GET", path)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """headers: with _ in place of -."""
        began, written = time.monotonic(), None
        if began - self._used > KEPT_S:
            self._connection.close()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self._connection.request(method, path, body, named)
            written = time.monotonic()
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return Reply(0, began, time.monotonic(), written)
        self._used = time.monotonic()
        told = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, began, self._used, written, answer, told)

    def close(self) -> None:
        self._connection.close()
