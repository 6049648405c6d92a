"""GET /v1/models in OpenAI's shape: the models that /v1/embeddings answers."""

import time

from fastapi import APIRouter
from pydantic import BaseModel

from service.catalogue import find_model
from service.engine.base import ModelInfo
from service.openapi import OPENAI_ERROR, problem_responses
from service.runtime import Runtime


class OpenAiModel(BaseModel):
    """created: the start of the server, since checkpoints do not record when they were made."""

    id: str
    object: str = "model"
    created: int
    owned_by: str = "unireplknet"


class OpenAiModels(BaseModel):
    object: str = "list"
    data: list[OpenAiModel]


def openai_models_router(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/v1/models", tags=["embeddings"])
    started = int(time.time())

    def described(model: ModelInfo) -> OpenAiModel:
        return OpenAiModel(id=model.name, created=started)

    @router.get("", responses=problem_responses(503, shape=OPENAI_ERROR), operation_id="openai_models")
    async def models() -> OpenAiModels:
        """The models that make embeddings; GET /models lists all."""
        runtime.check_ready()
        return OpenAiModels(data=[described(model) for model in runtime.models.values() if model.postprocessor.embeds])

    @router.get("/{name:path}", responses=problem_responses(404, 503, shape=OPENAI_ERROR), operation_id="openai_model")
    async def model(name: str) -> OpenAiModel:
        """One model."""
        return described(find_model(runtime, name))

    return router
