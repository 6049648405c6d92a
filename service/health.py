"""Two different questions: is the process alive, and would it answer now."""

from fastapi import APIRouter
from pydantic import BaseModel

from service.openapi import problem_responses
from service.runtime import Runtime


class Health(BaseModel):
    status: str


async def check_readiness(runtime: Runtime) -> None:
    """What every readiness probe asks. Raises Problem 503 while models load or are missing and once the server drains,
    DecodersUnavailable while files cannot be decoded, and WorkerLost while the engine cannot compute."""
    runtime.check_open()
    await runtime.check_working()


def health_router(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/health", tags=["health"])

    problem = problem_responses(503)

    @router.get("/live", responses=problem)
    async def live() -> Health:
        """200 unless only a restart can help: models could not be loaded, or the inference process is lost for good."""
        runtime.check_alive()
        return Health(status="live")

    @router.get("/ready", responses=problem)
    async def ready() -> Health:
        """200 once models have warmed up, and while files are decoded and models compute; 503 while draining."""
        await check_readiness(runtime)
        return Health(status="ready")

    return router
