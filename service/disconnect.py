"""Notice that a client has gone while its answer is being made."""

import asyncio

from starlette.types import Message, Receive, Send


class DisconnectWatcher:
    """Cancels the task that serves a request as soon as its client leaves; `gone` says that this was why.

    Whoever reads the body hears of a departure by itself. From the end of the body on nobody listens, so a watcher
    does, until the answer is complete. Use in place of `receive` and `send`.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self.gone = False
        self._receive, self._send = receive, send
        self._serving = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._answered = False

    async def receive(self) -> Message:
        if self._watcher is not None:
            await asyncio.shield(self._watcher)
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._watcher = asyncio.create_task(self._watch())
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._answered = True  # servers report the end of the answer as a departure, too
        await self._send(message)

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self._answered and self._serving is not None:
            self.gone = True
            self._serving.cancel()
