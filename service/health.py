"""Two different questions: is the process alive, and would it answer now."""

from fastapi import APIRouter
from pydantic import BaseModel

from service.openapi import problem_responses
from service.runtime import Runtime


class Health(BaseModel):
    status: str


def health_router(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/health", tags=["health"])

    problem = problem_responses(503)

    @router.get("/live", responses=problem)
    async def live() -> Health:
        """200 while a restart would not help; 503 where models could not be loaded, or the engine is lost for good."""
        runtime.check_alive()
        return Health(status="live")

    @router.get("/ready", responses=problem)
    async def ready() -> Health:
        """200 once every model is warmed up, and while files are decoded and models compute. 503 before, and once the
        server is told to end."""
        runtime.check_open()
        await runtime.check_working()
        return Health(status="ready")

    return router
