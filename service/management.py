"""POST /models/{name}/load and /unload: administrators change what is served while the server runs."""

import asyncio
from typing import Any

from fastapi import APIRouter, Query, Request

from service.call import current_call
from service.catalogue import ModelSummary, summary
from service.errors import Problem
from service.openapi import problem_responses
from service.runtime import Runtime

STATUSES = (400, 401, 403, 404, 422, 429, 503, 504)


def management_router(runtime: Runtime) -> APIRouter:
    router = APIRouter(tags=["models"])
    problems = problem_responses(*STATUSES)
    checkpoint_query = Query(
        None, description="A file in the server's checkpoint folders, or the name of a published model"
    )

    @router.post("/models/{name:path}/load", responses=problems)
    async def load(request: Request, name: str, checkpoint: str | None = checkpoint_query) -> ModelSummary:
        """Load a model, or reload it from its file; the previous version answers until this one has warmed up."""
        check_administrator(request, runtime)
        return ModelSummary(**summary(await load_model(runtime, name, checkpoint)))

    @router.post("/models/{name:path}/unload", responses=problems)
    async def unload(request: Request, name: str) -> dict[str, str]:
        """Unload a model; answered once it has finished its open requests and its memory is free."""
        check_administrator(request, runtime)
        await unload_model(runtime, name)
        return {"name": name}

    return router


async def load_model(runtime: Runtime, name: str, checkpoint: str | None = None) -> Any:
    """From the named checkpoint, or the one whose card has this name. Raises Problem, WorkerLost."""
    _leave_queue()
    runtime.check_ready()
    source = await asyncio.to_thread(runtime.sources.find, name, checkpoint)
    return await runtime.repository.load(name, source)


async def unload_model(runtime: Runtime, name: str) -> None:
    """Raises Problem."""
    _leave_queue()
    runtime.check_ready()
    await runtime.repository.unload(name)


def check_administrator(request: Request, runtime: Runtime) -> None:
    """Raises Problem 403 for anyone else, and for everyone where the server has no admin keys."""
    if request.scope.get("administrator"):
        return
    remedy = "send an admin key in the header Authorization: Bearer <key>"
    if not runtime.settings.administrators:
        remedy = "this server has no admin keys: start it with --admin-keys"
    raise Problem(403, "forbidden", f"only administrators can load and unload models: {remedy}")


def _leave_queue() -> None:
    """Loading has a queue of its own and takes no place from requests that send files."""
    place = current_call().take_place()
    if place is not None:
        with place:
            return
