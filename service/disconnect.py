"""Notice that a client has gone while its answer is being made."""

import asyncio
from collections.abc import Callable

from starlette.types import Message, Receive, Scope, Send

ON_DEPARTURE = "on_departure"  # in the scope, where the server tells of departures: takes what to call, or None

OnDeparture = Callable[[Callable[[], None] | None], None]


class DisconnectWatcher:
    """Cancels the task that serves a request as soon as its client leaves; `gone` says that this was why.

    Whoever reads the body hears of a departure by itself. From the end of the body on nobody listens, so the server is
    asked to tell, or else a watcher listens, until the answer is complete. Use in place of `receive` and `send`.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.gone = False
        self._receive, self._send = receive, send
        self._on_departure: OnDeparture | None = scope.get(ON_DEPARTURE)
        self._serving = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._answered = False

    async def receive(self) -> Message:
        if self._watcher is not None:
            await asyncio.shield(self._watcher)
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._begin()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._answered = True  # servers report the end of the answer as a departure, too
        await self._send(message)

    def close(self) -> None:
        if self._on_departure is not None:
            self._on_departure(None)
        if self._watcher is not None:
            self._watcher.cancel()

    def _begin(self) -> None:
        if self._on_departure is not None:
            self._on_departure(self._leave)  # a task for every request would take a thirtieth of all its time
        else:
            self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        if not self._answered and self._serving is not None:
            self.gone = True
            self._serving.cancel()
