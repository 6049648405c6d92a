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
        """200 while a restart would not help; 503 where the models could not be loaded."""
        runtime.check_alive()
        return Health(status="live")

    @router.get("/ready", responses=problem)
    async def ready() -> Health:
        """200 once every model is warmed up and the engine computes; 503 before, and once the server is told to end."""
        await check_readiness(runtime)
        return Health(status="ready")

    return router
