"""The application, as a function of its settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from service import errors
from service.catalogue import catalogue_router
from service.health import health_router
from service.middleware import BodyLimit, RequestIds
from service.openapi import ProblemDetails
from service.routes import task_router
from service.runtime import Announce, Runtime
from service.settings import Settings
from service.timeseries import timeseries_router

DESCRIPTION = "One large-kernel ConvNet, UniRepLKNet, behind one request grammar. Errors are application/problem+json."


def _document_problems(app: FastAPI) -> None:
    """Put the schema of the problems, which no response model names, among the document's components."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document["components"]["schemas"].setdefault("ProblemDetails", ProblemDetails.model_json_schema())
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def create_app(settings: Settings | None = None, announce: Announce | None = None) -> FastAPI:
    runtime = Runtime(settings or Settings(), announce)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with runtime:
            yield

    app = FastAPI(
        title="UniRepLKNet service",
        description=DESCRIPTION,
        version=version("unireplknet-service"),
        lifespan=lifespan,
    )
    app.state.runtime = runtime
    errors.install(app)
    app.include_router(task_router(runtime))
    app.include_router(timeseries_router(runtime))
    app.include_router(catalogue_router(runtime))
    app.include_router(health_router(runtime))
    app.add_middleware(BodyLimit, limit=runtime.settings.max_body_bytes)
    app.add_middleware(errors.Faults)
    app.add_middleware(RequestIds)  # the last added is the outermost

    _document_problems(app)

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("/docs")

    return app
