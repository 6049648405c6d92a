"""What the layers around the application have in common."""

from starlette.types import ASGIApp, Receive, Scope, Send


class HttpLayer:
    """Sees HTTP requests only; what else a server sends, such as that it starts or ends, passes by."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handle = self.serve if scope["type"] == "http" else self.app
        await handle(scope, receive, send)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError
