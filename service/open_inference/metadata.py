"""What servers of the protocol say of themselves and of their models."""

from importlib.metadata import version as installed
from typing import Any

from fastapi import APIRouter, Request

from service.engine.base import ModelInfo
from service.open_inference.models import served
from service.open_inference.outputs import BYTES, OUTPUTS
from service.openapi import PROTOCOL_ERROR, problem_responses
from service.runtime import Runtime

EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics"]
PLATFORM = "pytorch_unireplknet"
CONFIG_TYPES = {"FP32": "TYPE_FP32", "BYTES": "TYPE_STRING"}

Json = dict[str, Any]


def metadata_router(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/v2", tags=["open inference protocol"])

    @router.get("")
    async def server() -> Json:
        about = {"name": "unireplknet-service", "version": installed("unireplknet-service")}
        return {**about, "extensions": EXTENSIONS}

    @router.get("/health/live", responses=problem_responses(503, shape=PROTOCOL_ERROR))
    async def live() -> Json:
        runtime.check_alive()
        return {"live": True}

    @router.get("/health/ready", responses=problem_responses(503, shape=PROTOCOL_ERROR))
    async def ready() -> Json:
        runtime.check_ready()
        await runtime.check_working()
        return {"ready": True}

    @router.get("/models", responses=problem_responses(503, shape=PROTOCOL_ERROR))
    async def models() -> Json:
        runtime.check_ready()
        return {"models": list(runtime.models)}

    router.include_router(_model_router(runtime, "/models/{name:path}/versions/{version}"), include_in_schema=False)
    router.include_router(_model_router(runtime, "/models/{name:path}"))
    return router


def _model_router(runtime: Runtime, prefix: str) -> APIRouter:
    router = APIRouter()
    problems = problem_responses(404, 503, shape=PROTOCOL_ERROR)

    @router.get(f"{prefix}/ready", responses=problems)
    async def model_ready(request: Request, name: str) -> Json:
        return {"name": served(runtime, name, request).name, "ready": True}

    @router.get(f"{prefix}/config", responses=problems)
    async def config(request: Request, name: str) -> Json:
        return model_config(served(runtime, name, request))

    @router.get(f"{prefix}/stats", responses=problems)
    async def stats(request: Request, name: str) -> Json:
        return {"model_stats": [runtime.statistics.told(served(runtime, name, request))]}

    @router.get(prefix, responses=problems)
    async def metadata(request: Request, name: str) -> Json:
        return model_metadata(served(runtime, name, request))

    return router


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
