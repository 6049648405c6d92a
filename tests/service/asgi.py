"""An ASGI server of the least kind: one request at a time, whose body and client are the test's to play."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Faults
from service.middleware import RequestIds

Endpoint = Callable[[Scope, Receive], Awaitable[None]]


@dataclass
class Reply:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def problem(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def code(self) -> str:
        return str(self.problem["code"])


class Client:
    """Sends the chunks of a body, then stays until it is told to leave, or until it has its answer."""

    def __init__(self, chunks: Sequence[bytes] = (b"",), /, **headers: str) -> None:
        self.headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        self.reply = Reply()
        self.left = asyncio.Event()
        self._chunks = list(chunks)

    async def ask(self, app: ASGIApp, path: str = "/classify/image", method: str = "POST") -> Reply:
        scope: Scope = {"type": "http", "method": method, "path": path, "headers": self.headers, "query_string": b""}
        await app(scope, self._receive, self._send)
        return self.reply

    async def _receive(self) -> Message:
        if self._chunks:
            body = self._chunks.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(self._chunks)}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.reply.status = message["status"]
            self.reply.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self.reply.body += message["body"]
            if not message.get("more_body", False):
                self.left.set()


def answering(endpoint: Endpoint) -> ASGIApp:
    """An application that runs the endpoint, then answers 200."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await endpoint(scope, receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


async def read_all(scope: Scope, receive: Receive) -> None:
    """An endpoint that reads the body."""
    while (await receive()).get("more_body", False):
        pass


def outside(app: ASGIApp) -> ASGIApp:
    """With the layers that every other needs around it."""
    return RequestIds(Faults(app))
