"""The model repository extension: the models that are served and could be, loading and unloading."""

import asyncio

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from service.management import STATUSES, check_administrator, load_model, unload_model
from service.openapi import PROTOCOL_ERROR, problem_responses
from service.repository import ModelState
from service.runtime import Runtime

Entry = dict[str, str]


class IndexRequest(BaseModel):
    """ready: list only models that are being served."""

    ready: bool = False


def repository_router(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/v2/repository", tags=["open inference protocol"])
    problems = problem_responses(*STATUSES, shape=PROTOCOL_ERROR)

    @router.post("/index", responses=problem_responses(400, 422, 429, 503, 504, shape=PROTOCOL_ERROR))
    async def index(request: Request, asked: IndexRequest | None = None) -> list[Entry]:
        """Models that are served, being loaded, or available to load.

        Administrators also see why a model could not be loaded, which may name the server's files.
        """
        runtime.check_ready()
        files = await asyncio.to_thread(runtime.sources.names)
        entries = _entries(runtime, files, request.scope["administrator"])
        return [entry for entry in entries if not (asked and asked.ready) or entry["state"] == ModelState.READY]

    @router.post("/models/{name:path}/load", responses=problems)
    async def load(request: Request, name: str) -> Response:
        """As /models/{name}/load."""
        check_administrator(request, runtime)
        await load_model(runtime, name)
        return Response()

    @router.post("/models/{name:path}/unload", responses=problems)
    async def unload(request: Request, name: str) -> Response:
        """As /models/{name}/unload."""
        check_administrator(request, runtime)
        await unload_model(runtime, name)
        return Response()

    return router


def _entries(runtime: Runtime, files: dict[str, str], with_faults: bool) -> list[Entry]:
    """Of all that is served, that is being loaded, and that could be."""
    repository = runtime.repository
    faults = repository.faults if with_faults else {}
    entries = []
    for name in dict.fromkeys([*runtime.models, *repository.changing, *files]):
        model = runtime.models.get(name)
        state = repository.changing.get(name, ModelState.READY if model else ModelState.UNAVAILABLE)
        reason = "" if model else faults.get(name, "not loaded")
        entries.append({"name": name, "version": model.version if model else "", "state": state, "reason": reason})
    return entries
