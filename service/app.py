"""The application, as a function of its settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from service import errors, middleware_stack
from service.catalogue import catalogue_router
from service.engine.base import Load
from service.health import health_router
from service.loading import CHECKPOINTS
from service.management import management_router
from service.metrics import metrics_router
from service.open_inference.inference import inference_router
from service.open_inference.metadata import metadata_router
from service.open_inference.repository import repository_router
from service.openai_embeddings import openai_router
from service.openai_models import openai_models_router
from service.openapi import ProblemDetails
from service.playground import playground_router
from service.routes import task_router
from service.runtime import Announce, Runtime
from service.settings import Settings
from service.timeseries import timeseries_router

DESCRIPTION = (
    "Classification, embeddings and forecasts by UniRepLKNet, one large-kernel ConvNet for every modality. "
    "Errors are application/problem+json."
)


def _document_problems(app: FastAPI) -> None:
    """Put the schema of the problems, which no response model names, among the document's components."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document["components"]["schemas"].setdefault("ProblemDetails", ProblemDetails.model_json_schema())
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def create_app(settings: Settings | None = None, announce: Announce | None = None, load: Load = CHECKPOINTS) -> FastAPI:
    runtime = Runtime(settings or Settings(), announce, load)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with runtime:
            yield

    app = FastAPI(
        title="UniRepLKNet service",
        description=DESCRIPTION,
        version=version("unireplknet-service"),
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it has its own, see service/spans.py
    )
    app.state.runtime = runtime
    errors.install(app)
    routers = [
        task_router(runtime),
        timeseries_router(runtime),
        openai_router(runtime),
        openai_models_router(runtime),
        catalogue_router(runtime),
        management_router(runtime),
        inference_router(runtime),
        repository_router(runtime),
        metadata_router(runtime),
        health_router(runtime),
        playground_router(),
        metrics_router(runtime.metrics),
    ]
    app.router.routes[:0] = [route for router in routers for route in router.routes]  # included, they are found slowly
    middleware_stack.install(app, runtime)

    _document_problems(app)

    return app
