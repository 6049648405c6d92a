"""Admission before anything is spent: a request that there is no room for is refused before its body is read."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.admission import Admission, Load, Reservation
from service.call import current_call
from service.estimates import Estimates
from service.headers import header
from service.http_layer import HttpLayer


class Gate(HttpLayer):
    """Every POST takes a place in the queue for one sample, and the bytes of its body; a chunked one as it comes."""

    def __init__(self, app: ASGIApp, admission: Admission, estimates: Estimates) -> None:
        super().__init__(app)
        self.admission, self.estimates = admission, estimates

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        call = current_call()
        declared = int(header(scope, b"content-length") or "0")
        patience_s = call.deadline - time.monotonic()
        with (
            self.admission.admit(self.estimates.request(scope["path"]), call.priority, patience_s) as call.place,
            self.admission.admit(Load(bytes=declared), call.priority) as body,
        ):
            await self.app(scope, receive if declared else self._counted(receive, body), send)

    def _counted(self, receive: Receive, body: Reservation) -> Receive:
        async def receive_counted() -> Message:
            message = await receive()
            more = len(message.get("body", b""))
            if more:
                self.admission.check(Load(bytes=more), current_call().priority)
                body.become(Load(bytes=body.load.bytes + more))
            return message

        return receive_counted
