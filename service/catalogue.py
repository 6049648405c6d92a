"""GET /models, /models/{name}, /labels/{name}, /limits: what is served, by whom it was trained, and what it accepts."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from service.errors import Problem
from service.openapi import problem_responses
from service.pipeline import Pipeline
from service.runtime import Runtime


class ModelSummary(BaseModel):
    name: str
    version: str
    task: str
    modality: str
    endpoints: list[str]
    device: str
    precision: str


class ModelDetails(ModelSummary):
    """With the constructor arguments of its preprocessor, and its card: data, licence, split, metrics, training."""

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
        """Every model that answers; the first of a task is its default."""
        runtime.check_ready()
        return [ModelSummary(**_summary(pipeline)) for pipeline in runtime.pipelines.values()]

    @router.get("/models/{name:path}", responses=problems)
    def model(name: str) -> ModelDetails:
        return ModelDetails(**_details(_find(runtime, name)))

    @router.get("/labels/{name:path}", responses=problems)
    def labels(name: str) -> list[str]:
        """Class names in the order of class_id."""
        return list(getattr(_find(runtime, name).head, "labels", ()))

    @router.get("/limits")
    def limits() -> Limits:
        return Limits(**{name: getattr(runtime.settings, name) for name in Limits.model_fields})

    return router


def _find(runtime: Runtime, name: str) -> Pipeline:
    runtime.check_ready()
    if name not in runtime.pipelines:
        known = ", ".join(runtime.pipelines)
        raise Problem(404, "model_not_found", f"no model is called {name!r}; there is: {known}")
    return runtime.pipelines[name]


def _summary(pipeline: Pipeline) -> dict[str, Any]:
    embed = [f"/embed/{pipeline.task.modality}"] if pipeline.head.embeds else []
    return {
        "name": pipeline.name,
        "version": pipeline.version,
        "task": pipeline.path,
        "modality": pipeline.task.modality,
        "endpoints": [f"/{pipeline.path}", *embed],
        "device": str(pipeline.predictor.device),
        "precision": str(pipeline.predictor.precision),
    }


def _details(pipeline: Pipeline) -> dict[str, Any]:
    return {
        **_summary(pipeline),
        "parameters": sum(parameter.numel() for parameter in pipeline.predictor.model.parameters()),
        "preprocessor": asdict(pipeline.preprocessor),  # type: ignore[call-overload]
        "media_types": list(pipeline.preprocessor.media_types),
        "card": asdict(pipeline.card),
    }
