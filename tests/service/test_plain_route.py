import asyncio

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from service.plain_route import DirectRoutes, PlainRoute
from tests.service.asgi import Client


async def say_route(request: Request) -> Response:
    return Response(request.scope["route"].path)


def asked(method: str, path: str) -> str:
    """Who answers: the route that is named, found at once, or the router."""

    async def router(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("router")(scope, receive, send)

    plain = APIRouter(route_class=PlainRoute)
    plain.add_api_route("/direct", say_route, methods=["POST"])
    plain.add_api_route("/models/{name}", say_route, methods=["POST"])
    usual = FastAPI()
    usual.add_api_route("/usual", say_route, methods=["POST"])
    client = Client()
    asyncio.run(client.ask(DirectRoutes(router, [*plain.routes, *usual.routes]), path, method))
    return client.reply.body.decode()


def test_a_plain_route_is_found_by_its_method_and_path_alone() -> None:
    assert asked("POST", "/direct") == "/direct"


def test_everything_else_goes_to_the_router() -> None:
    elsewhere = [("GET", "/direct"), ("POST", "/direct/"), ("POST", "/models/{name}"), ("POST", "/models/a")]
    elsewhere += [("POST", "/usual"), ("POST", "/nowhere")]
    assert {asked(*request) for request in elsewhere} == {"router"}
