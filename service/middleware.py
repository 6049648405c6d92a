"""What wraps every request: its id, and the limit on its body."""

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Problem, malformed, problem_response

REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


class RequestIds:
    """Echo a client's X-Request-Id where it is printable and short, or else make one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = scope["request_id"] = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        await self.app(scope, receive, send_with_id)


class BodyLimit:
    """Refuse a body over the limit: by its declared length before it is read, or while it is read."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        problem = self._refusal(declared)
        if problem is not None:
            await problem_response(problem, scope["request_id"])(scope, receive, send)
            return
        seen = 0

        async def receive_within_limit() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise self._too_large(seen)
            return message

        await self.app(scope, receive_within_limit, send)

    def _refusal(self, declared: str) -> Problem | None:
        if not declared.isdecimal():
            return malformed(f"Content-Length is {declared!r}, expected a number of bytes")
        return self._too_large(int(declared)) if int(declared) > self.limit else None

    def _too_large(self, actual: int) -> Problem:
        detail = f"the body has {actual} bytes or more, the limit is {self.limit}: send smaller or fewer files"
        extra = {"limit": self.limit, "actual": actual}
        return Problem(413, "body_too_large", detail, extra, {"Connection": "close"})
