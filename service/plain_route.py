"""Routes whose endpoints read the request and write the response themselves."""

from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send


class PlainRoute(APIRoute):
    """In the document as any other. What FastAPI does around an endpoint, for parameters and dependencies that these do
    not have, is left out: it was half of what FastAPI adds to a request. What they raise is answered by the layers.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        endpoint = self.endpoint

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app
