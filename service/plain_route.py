"""Routes whose endpoints read the request and write the response themselves."""

from collections.abc import Iterable
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http_layer import HttpLayer


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


class DirectRoutes(HttpLayer):
    """Leads a request to its plain route by method and path alone, past what stands between a router and the layers.

    Others go the usual way: those whose path has parameters, and whatever is not found.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        super().__init__(app)
        plain = [route for route in routes if isinstance(route, PlainRoute) and not route.param_convertors]
        self._routes = {(method, route.path): route for route in plain for method in route.methods or ()}

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get((scope["method"], scope["path"]))
        if route is None:
            await self.app(scope, receive, send)
        else:
            scope["route"] = route
            await route.app(scope, receive, send)
