"""Two different questions: is the process alive, and would it answer now."""

from fastapi import APIRouter
from pydantic import BaseModel

from service.openapi import problem_responses
from service.runtime import Runtime


class Health(BaseModel):
    status: str


async def check_readiness(runtime: Runtime) -> None:
    """What every readiness probe asks. Raises Problem 503 while models load and once the server drains, and WorkerLost
    while the engine cannot compute."""
    runtime.check_open()
    await runtime.check_engine()


def health_router(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/health", tags=["health"])

    problem = problem_responses(503)

    @router.get("/live", responses=problem)
    async def live() -> Health:
        """200 unless only a restart can help; 503 if the models could not be loaded."""
        runtime.check_alive()
        return Health(status="live")

    @router.get("/ready", responses=problem)
    async def ready() -> Health:
        """200 once every model has warmed up and the inference process responds; 503 before, and while draining."""
        await check_readiness(runtime)
        return Health(status="ready")

    return router
