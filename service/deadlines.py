"""Each request as a call: how urgent it is, until when it is of use, and whether somebody still waits for it."""

import asyncio
import math
import re
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.call import CURRENT_CALL, Call
from service.disconnect import DisconnectWatcher
from service.errors import Problem, draining, malformed
from service.headers import header
from service.http_layer import HttpLayer
from service.lane import DeadlineExceeded
from service.open_requests import OpenRequests
from service.priority import Priority
from service.probes import is_probe

MILLISECONDS = re.compile(r"0*[1-9][0-9]{0,9}")


class Deadlines(HttpLayer):
    """Ends the work for a request whose time is over (504), or whose client has gone (499, in the log alone).

    timeout_s: for requests that name none by X-Request-Timeout-Ms. max_timeout_s: the most that they get.
    body_timeout_s: for all of the body (408), so that no trickle keeps a connection for ever. One timer serves both.
    """

    def __init__(
        self,
        app: ASGIApp,
        open_requests: OpenRequests,
        timeout_s: float,
        max_timeout_s: float,
        body_timeout_s: float = math.inf,
    ) -> None:
        super().__init__(app)
        self.open_requests = open_requests
        self.timeout_s, self.max_timeout_s = timeout_s, max_timeout_s
        self.body_timeout_s = body_timeout_s

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_probe(scope["path"]):
            await self.app(scope, receive, send)
            return
        if self.open_requests.draining:
            raise draining()
        deadline = time.monotonic() + self._timeout_s(header(scope, b"x-request-timeout-ms"))
        call = scope["call"] = Call(scope["path"], _priority(header(scope, b"x-priority")), deadline)
        CURRENT_CALL.set(call)
        self.open_requests.enter(call)
        try:
            await self._serve(call, scope, receive, send)
        finally:
            self.open_requests.leave(call)

    async def _serve(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        client = DisconnectWatcher(scope, self._timed(call, receive), send)
        try:
            async with asyncio.timeout_at(call.deadline) as call.timer:
                await self.app(scope, client.receive, client.send)
        except TimeoutError as error:
            if call.timer is None or not call.timer.expired():
                raise
            raise self._late_body() if call.body_deadline < call.deadline else DeadlineExceeded() from error
        except asyncio.CancelledError:
            serving = asyncio.current_task()
            if not client.gone or serving is None:
                raise
            serving.uncancel()
            raise ClientDisconnect from None
        finally:
            client.close()

    def _timed(self, call: Call, receive: Receive) -> Receive:
        """The body's time begins when it is first asked for."""
        awaited, complete = False, False

        async def receive_in_time() -> Message:
            nonlocal awaited, complete
            if not awaited:
                awaited = True
                call.await_body(time.monotonic() + self.body_timeout_s)
            message = await receive()
            if not complete and not message.get("more_body", False):
                complete = True
                call.await_body(math.inf)
            return message

        return receive_in_time

    def _late_body(self) -> Problem:
        detail = f"the body did not arrive within {self.body_timeout_s:g} s: send smaller or fewer files"
        extra, headers = {"limit": self.body_timeout_s}, {"Connection": "close"}
        return Problem(408, "body_timeout", detail, extra, headers)

    def _timeout_s(self, given: str | None) -> float:
        if given is None:
            return min(self.timeout_s, self.max_timeout_s)
        if not MILLISECONDS.fullmatch(given):
            raise malformed(f"X-Request-Timeout-Ms is {given!r}, expected a positive number of milliseconds")
        return min(int(given) / 1e3, self.max_timeout_s)


def _priority(given: str | None) -> Priority:
    try:
        return Priority(given.strip().lower()) if given is not None else Priority.INTERACTIVE
    except ValueError:
        raise malformed(f"X-Priority is {given!r}, expected one of: {', '.join(Priority)}") from None
