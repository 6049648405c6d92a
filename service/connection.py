"""One client's connection: the head of a request must come in time and be of a size, as its body must further in.

uvicorn waits for a head for as long as it takes, and keeps all of it: a few clients could take every socket and all
memory before any layer of the application sees a request.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.disconnect import ON_DEPARTURE
from service.errors import malformed
from service.middleware import new_request_id
from service.problem import Problem, problem_response


class Connection(HttpToolsProtocol):
    """head_timeout_s: for a request's line and headers, from the connection or from their first byte. max_head_bytes:
    of them; what comes with one read, 256 KB, may be more. A connection on which nothing was sent is closed silently.
    """

    head_timeout_s: ClassVar[float] = 10.0
    max_head_bytes: ClassVar[int] = 1 << 16

    _awaits_head = True
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None
    _departed: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)
        if self._departed is not None:
            self._departed()

    def data_received(self, data: bytes) -> None:
        if self._awaits_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing() or not self._awaits_head or not self._head_bytes:
            return
        if self._head_bytes > self.max_head_bytes:
            self._refuse(_too_large(self._head_bytes, self.max_head_bytes))
        elif self._timer is None:
            self._start_timer()

    def on_headers_complete(self) -> None:
        self._awaits_head, self._head_bytes = False, 0
        self._stop_timer()
        cast(dict[str, Any], self.scope)[ON_DEPARTURE] = self._on_departure
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._awaits_head = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP: in the form of all problems."""
        self._refuse(malformed("not a valid HTTP/1.1 request: use an HTTP client"))

    def _on_departure(self, tell: Callable[[], None] | None) -> None:
        self._departed = tell

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.head_timeout_s, self._time_is_over)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_over(self) -> None:
        self._timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._start_timer()  # the request before it is being answered
        elif self._head_bytes:
            self._refuse(_too_slow(self.head_timeout_s))
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        self._stop_timer()
        request_id = new_request_id()
        self.logger.info("%s %s %s", request_id, problem.status, problem.code)
        response = problem_response(problem, request_id)
        told = [(b"x-request-id", request_id.encode()), (b"connection", b"close"), *response.raw_headers]
        head = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}".encode()]
        head += [name + b": " + value for name, value in told]
        self.transport.write(b"\r\n".join([*head, b"", bytes(response.body)]))
        self.transport.close()


def _too_large(actual: int, limit: int) -> Problem:
    detail = f"the headers have at least {actual} bytes, the limit is {limit}: send fewer or shorter headers"
    return Problem(431, "headers_too_large", detail, {"limit": limit, "actual": actual})


def _too_slow(limit: float) -> Problem:
    detail = f"the headers did not arrive within {limit:g} s: send the request without pauses"
    return Problem(408, "header_timeout", detail, {"limit": limit})
