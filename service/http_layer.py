"""What the layers around the application have in common."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send


class HttpLayer:
    """Sees HTTP requests only; what else a server sends, such as that it starts or ends, passes by."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        handle = self.serve if scope["type"] == "http" else self.app
        return handle(scope, receive, send)  # one coroutine less for every layer, which whatever resumes walks through

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError
