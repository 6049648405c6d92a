"""Metadata, health and statistics in the Open Inference Protocol."""

from importlib.metadata import version as installed
from typing import Any

from fastapi import APIRouter, Request

from service.engine.base import ModelInfo
from service.health import check_readiness
from service.open_inference.models import served
from service.open_inference.outputs import OUTPUTS
from service.open_inference.tensors import BYTES, FP32
from service.openapi import PROTOCOL_ERROR, problem_responses
from service.runtime import Runtime

EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics"]
PLATFORM = "pytorch_unireplknet"
CONFIG_TYPES = {FP32: "TYPE_FP32", BYTES: "TYPE_STRING"}

Json = dict[str, Any]


def metadata_router(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/v2", tags=["open inference protocol"])

    @router.get("")
    async def server() -> Json:
        """Name, version and protocol extensions of the server."""
        about = {"name": "unireplknet-service", "version": installed("unireplknet-service")}
        return {**about, "extensions": EXTENSIONS}

    @router.get("/health/live", responses=problem_responses(503, shape=PROTOCOL_ERROR))
    async def live() -> Json:
        """As /health/live."""
        runtime.check_alive()
        return {"live": True}

    @router.get("/health/ready", responses=problem_responses(503, shape=PROTOCOL_ERROR))
    async def ready() -> Json:
        """As /health/ready."""
        await check_readiness(runtime)
        return {"ready": True}

    @router.get("/models", responses=problem_responses(503, shape=PROTOCOL_ERROR))
    async def models() -> Json:
        """Names of the models being served."""
        runtime.check_ready()
        return {"models": list(runtime.models)}

    @router.get("/models/stats", responses=problem_responses(503, shape=PROTOCOL_ERROR))
    async def all_stats() -> Json:
        """Counts and durations of every model since it was loaded."""
        runtime.check_ready()
        return {"model_stats": [runtime.statistics.told(model) for model in runtime.models.values()]}

    _add_model_routes(router, runtime, "/models/{name:path}/versions/{version}", in_schema=False)
    _add_model_routes(router, runtime, "/models/{name:path}", in_schema=True)
    return router


def _add_model_routes(router: APIRouter, runtime: Runtime, path: str, in_schema: bool) -> None:
    """Not by a router inside the router, whose routes would not know their full path: metrics are labelled by it."""
    about: Json = {
        "responses": problem_responses(404, 503, shape=PROTOCOL_ERROR),
        "include_in_schema": in_schema,
    }

    @router.get(f"{path}/ready", **about)
    async def model_ready(request: Request, name: str) -> Json:
        """200 if the server is ready and serves the model."""
        await check_readiness(runtime)
        return {"name": served(runtime, name, request).name, "ready": True}

    @router.get(f"{path}/config", **about)
    async def config(request: Request, name: str) -> Json:
        """Triton's model configuration."""
        return model_config(served(runtime, name, request))

    @router.get(f"{path}/stats", **about)
    async def stats(request: Request, name: str) -> Json:
        """Counts and durations since the model was loaded."""
        return {"model_stats": [runtime.statistics.told(served(runtime, name, request))]}

    @router.get(path, **about)
    async def metadata(request: Request, name: str) -> Json:
        """Inputs and outputs of the model."""
        return model_metadata(served(runtime, name, request))


def model_metadata(model: ModelInfo) -> Json:
    """The first axis of every tensor are the inputs of the request."""
    outputs = OUTPUTS[type(model.postprocessor)]
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": PLATFORM,
        "inputs": [{"name": model.task.modality, "datatype": BYTES, "shape": [-1]}],
        "outputs": [
            {"name": name, "datatype": output.datatype, "shape": [-1, *output.axes(model.postprocessor)]}
            for name, output in outputs.items()
        ],
    }


def model_config(model: ModelInfo) -> Json:
    """The least of Triton's, for its tools. max_batch_size 0: shapes are whole, batches are made by the server."""
    about = model_metadata(model)
    tensors = {
        kind: [
            {"name": item["name"], "data_type": CONFIG_TYPES[item["datatype"]], "dims": item["shape"]}
            for item in about[f"{kind}s"]
        ]
        for kind in ("input", "output")
    }
    return {"name": model.name, "platform": PLATFORM, "backend": "python", "max_batch_size": 0, **tensors}
