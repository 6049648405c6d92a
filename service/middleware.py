"""What wraps every request: its id, and the limits on its body."""

import asyncio
import os
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Problem, malformed
from service.headers import header
from service.http_layer import HttpLayer

LENGTH = re.compile(r"[0-9]{1,18}")
REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


def new_request_id() -> str:
    return os.urandom(16).hex()


class RequestIds(HttpLayer):
    """Echo a client's X-Request-Id where it is printable and short, or else make one."""

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = header(scope, b"x-request-id") or ""
        request_id = scope["request_id"] = given if REQUEST_ID.fullmatch(given) else new_request_id()
        told = (b"x-request-id", request_id.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), told]
            await send(message)

        await self.app(scope, receive, send_with_id)


class BodyLimit(HttpLayer):
    """Refuse a body over the limit: by its declared length before it is read, or while it is read; and a slow one.

    timeout_s: for all of the body, so that no trickle keeps a connection for ever.
    """

    def __init__(self, app: ASGIApp, limit: int, timeout_s: float = 30.0) -> None:
        super().__init__(app)
        self.limit = limit
        self.timeout_s = timeout_s

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared = header(scope, b"content-length") or "0"
        if not LENGTH.fullmatch(declared):
            raise malformed(f"Content-Length is {declared!r}, expected a number of bytes")
        if int(declared) > self.limit:
            raise self._too_large(int(declared))
        await self.app(scope, self._limited(receive), send)

    def _limited(self, receive: Receive) -> Receive:
        until = asyncio.get_running_loop().time() + self.timeout_s
        seen, complete = 0, False

        async def receive_within_limit() -> Message:
            nonlocal seen, complete
            if complete:
                return await receive()
            message = await self._in_time(receive, until)
            seen += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if seen > self.limit:
                raise self._too_large(seen)
            return message

        return receive_within_limit

    async def _in_time(self, receive: Receive, until: float) -> Message:
        try:
            async with asyncio.timeout_at(until):
                return await receive()
        except TimeoutError:
            detail = f"the body did not arrive within {self.timeout_s:g} s: send smaller or fewer files"
            headers = {"Connection": "close"}
            raise Problem(408, "body_timeout", detail, {"limit": self.timeout_s}, headers) from None

    def _too_large(self, actual: int) -> Problem:
        detail = f"the body has at least {actual} bytes, the limit is {self.limit}: send smaller or fewer files"
        extra = {"limit": self.limit, "actual": actual}
        return Problem(413, "body_too_large", detail, extra, {"Connection": "close"})


class HeadRequests(HttpLayer):
    """HEAD is answered wherever GET is, since some load balancers probe by it; the server leaves out the body.

    The innermost layer: those outside tell of the method that was sent.
    """

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        routed = {**scope, "method": "GET"}
        try:
            await self.app(routed, receive, send)
        finally:
            scope.update(routed, method="HEAD")  # the route that was found, and the code of a problem
