"""What Ray Serve's proxies refuse or lose, told as the application tells it. Runs in the proxies, without torch or ray.

Their variable RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names the function that has it in: service.ray_proxy:layers.
"""

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import Message, Receive, Scope, Send

from service.headers import header
from service.http_layer import HttpLayer
from service.problem import Problem, problem_response

OWN_PATHS = "/-/"  # Ray's, for its probes
PLAIN_TEXT = b"text/plain"
RETRY_AFTER_S = "1"

LOST = "the replica crashed and is being replaced: retry"
FULL = "all replicas are busy and the queue is full: retry in a moment"
NONE = "no replica is available: retry in a moment"
LATE = "deadline of the cluster exceeded: send fewer files, or raise request_timeout_s of its proxies"
NOWHERE = "no application at this path"


def _later(status: int, code: str, detail: str) -> Problem:
    return Problem(status, code, detail, headers={"Retry-After": RETRY_AFTER_S})


REFUSALS: dict[int, Callable[[], Problem]] = {
    404: lambda: Problem(404, "not_found", NOWHERE),
    408: lambda: Problem(504, "deadline_exceeded", LATE),
    429: lambda: _later(429, "overloaded", FULL),
    500: lambda: _later(503, "worker_lost", LOST),
    503: lambda: _later(503, "not_ready", NONE),
}


def layers() -> list[Middleware]:
    """What Ray puts around its proxies' application."""
    return [Middleware(Refusals)]


class Refusals(HttpLayer):
    """Replicas tell every refusal as problem+json; what says no to a client in plain text, or nothing, is the proxy."""

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(OWN_PATHS):
            await self.app(scope, receive, send)
            return
        refused: int | None = 500  # until there is an answer: that of a replica that dies never comes

        async def send_answer(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = _refused(message)
                _name_once(message)
            if refused is None:
                await send(message)

        await self.app(scope, receive, send_answer)
        if refused is not None:
            request_id = header(scope, b"x-request-id") or ""  # which Ray has seen to
            await problem_response(REFUSALS[refused](), request_id)(scope, receive, send)


def _refused(start: Message) -> int | None:
    """The status, where it is the proxy's own refusal."""
    kinds = [value for name, value in start["headers"] if name.lower() == b"content-type"]
    plain = any(kind.startswith(PLAIN_TEXT) for kind in kinds)
    return start["status"] if plain and start["status"] in REFUSALS else None


def _name_once(start: Message) -> None:
    """Ray adds the X-Request-Id that the replica's answer has already."""
    headers = MutableHeaders(scope=start)
    if (request_id := headers.get("x-request-id")) is not None:
        headers["x-request-id"] = request_id
