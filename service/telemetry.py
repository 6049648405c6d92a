"""Counts, times and logs every request, whatever becomes of it."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access_log import log_access
from service.errors import CLIENT_CLOSED_REQUEST
from service.http_layer import HttpLayer
from service.metrics import Metrics

OTHER = "other"  # paths that no route answers: anybody can make up as many as he likes


class Telemetry(HttpLayer):
    """Tells the metrics and the log of each answer, under the route that gave it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        super().__init__(app)
        self.metrics = metrics
        self._known: set[str] = set()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status = CLIENT_CLOSED_REQUEST

        async def noted_send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, noted_send)
        finally:
            seconds = time.perf_counter() - started
            self.metrics.answered(self._task(scope), status, seconds, scope.get("problem"))
            log_access(scope, status, seconds)

    def _task(self, scope: Scope) -> str:
        """The route; of a request that was refused before it was routed, its path, if that is known to be one."""
        path, route = scope["path"], getattr(scope.get("route"), "path", None)
        if route == path:
            self._known.add(path)
        found = route or (path if path in self._known else OTHER)
        return str(found).strip("/") or OTHER
