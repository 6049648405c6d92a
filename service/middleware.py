"""What wraps every request: its id, and the limits on its body."""

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
    """Refuse a body over the limit: by its declared length before it is read, or while it is read."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        super().__init__(app)
        self.limit = limit

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared = header(scope, b"content-length") or "0"
        if not LENGTH.fullmatch(declared):
            raise malformed(f"Content-Length is {declared!r}, expected a number of bytes")
        if int(declared) > self.limit:
            raise self._too_large(int(declared))
        await self.app(scope, self._limited(receive), send)

    def _limited(self, receive: Receive) -> Receive:
        seen = 0

        async def receive_within_limit() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise self._too_large(seen)
            return message

        return receive_within_limit

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
