"""GET /models, /models/{name}, /labels/{name}, /limits: the models being served and what they accept."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from service.engine.base import ModelInfo
from service.errors import model_not_found
from service.openapi import problem_responses
from service.runtime import Runtime


class ModelSummary(BaseModel):
    name: str
    version: str
    task: str
    modality: str
    endpoints: list[str]
    device: str
    precision: str
    runtime: str


class ModelDetails(ModelSummary):
    """With its preprocessor's parameters and its model card: data, licence, split, metrics, training."""

    parameters: int
    preprocessor: dict[str, Any]
    media_types: list[str]
    card: dict[str, Any]


class Limits(BaseModel):
    max_body_bytes: int
    max_items: int
    max_batch_size: int
    max_queue: int
    decode_timeout_s: float


def catalogue_router(runtime: Runtime) -> APIRouter:
    router = APIRouter(tags=["models"])
    problems = problem_responses(404, 503)

    @router.get("/models", responses=problem_responses(503))
    def models() -> list[ModelSummary]:
        """The models being served; the first of a task is the task's default."""
        runtime.check_ready()
        return [ModelSummary(**summary(model)) for model in runtime.models.values()]

    @router.get("/models/{name:path}", responses=problems)
    def model(name: str) -> ModelDetails:
        """One model, with its preprocessor and model card."""
        return ModelDetails(**_details(find_model(runtime, name)))

    @router.get("/labels/{name:path}", responses=problems)
    def labels(name: str) -> list[str]:
        """Class names in the order of class_id."""
        return list(getattr(find_model(runtime, name).postprocessor, "labels", ()))

    @router.get("/limits")
    def limits() -> Limits:
        """The limits that requests must keep to."""
        return Limits(**{name: getattr(runtime.settings, name) for name in Limits.model_fields})

    return router


def find_model(runtime: Runtime, name: str) -> ModelInfo:
    """Raises Problem 404 that names the available ones, and 503 while models load or this one is missing."""
    runtime.check_ready()
    runtime.check_present(name)
    if name not in runtime.models:
        raise model_not_found(name, runtime.models)
    return runtime.models[name]


def summary(model: ModelInfo) -> dict[str, Any]:
    embed = [f"/embed/{model.task.modality}"] if model.postprocessor.embeds else []
    return {
        "name": model.name,
        "version": model.version,
        "task": model.path,
        "modality": model.task.modality,
        "endpoints": [f"/{model.path}", *embed],
        "device": model.device,
        "precision": model.precision,
        "runtime": model.runtime,
    }


def _details(model: ModelInfo) -> dict[str, Any]:
    return {
        **summary(model),
        "parameters": model.parameters,
        "preprocessor": asdict(model.preprocessor),  # type: ignore[call-overload]
        "media_types": list(model.preprocessor.media_types),
        "card": asdict(model.card),
    }
