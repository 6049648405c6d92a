"""POST /v2/models/{name}/infer: files in a BYTES tensor, the model's outputs as tensors."""

import time
from functools import cache
from typing import Any

from fastapi import APIRouter, Request, Response

from service.call import current_call
from service.engine.base import ModelInfo
from service.errors import Problem
from service.json_answer import JSON
from service.off_loop import off_loop
from service.open_inference.models import served
from service.open_inference.outputs import chosen, ranked, tensor
from service.open_inference.request import HEADER_LENGTH, InferBody, InferRequest, read_request
from service.open_inference.response import BINARY, written
from service.openapi import PROTOCOL_ERROR, problem_responses
from service.options import ModelOptions, Options
from service.payload import Payload
from service.perceiving import Perception, perceive_by_first
from service.runtime import Runtime
from service.tasks import TASKS

CONTENT = {JSON: {"schema": InferBody.model_json_schema()}, BINARY: {"schema": {"type": "string", "format": "binary"}}}


def inference_router(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/v2/models", tags=["open inference protocol"])

    async def infer(request: Request, name: str) -> Response:
        started = time.perf_counter()
        runtime.check_ready()
        refuse_compressed(request)
        body = await request.body()
        model = served(runtime, name, request)  # not before the body is here: it may be replaced meanwhile
        with runtime.repository.hold([model]):
            return await _infer(runtime, request, model, body, started)

    for path in ("/{name:path}/versions/{version}/infer", "/{name:path}/infer"):
        router.add_api_route(
            path,
            infer,
            methods=["POST"],
            operation_id="infer",
            include_in_schema="version" not in path,  # it would say the same twice
            response_model=None,
            responses={200: {"content": {BINARY: {}}}, **problem_responses(shape=PROTOCOL_ERROR)},
            openapi_extra={"requestBody": {"required": True, "content": CONTENT}},
        )
    return router


def refuse_compressed(request: Request) -> None:
    """Raises Problem 415."""
    coding = request.headers.get("content-encoding", "identity")
    if coding != "identity":
        raise Problem(
            415, "unsupported_media_type", f"Content-Encoding {coding} is not supported: send the body uncompressed"
        )


async def _infer(runtime: Runtime, request: Request, model: ModelInfo, body: bytes, started: float) -> Response:
    length, max_items = request.headers.get(HEADER_LENGTH), runtime.settings.max_items
    asked = await off_loop(len(body), read_request, body, length, model.task.modality, max_items)
    current_call().hurry(time.monotonic() + asked.timeout_s)
    tensors = chosen(model.postprocessor, asked.outputs)
    parsed = _options(model.path).parse({**asked.options, "model": model.name})
    payload = Payload(asked.files, {}, is_list=len(asked.files) > 1)
    seen = await perceive_by_first(runtime, [model], payload, parsed, lambda model, parsed: None, started)
    return _answer(request, asked, seen, tensors)


@cache
def _options(path: str) -> Options:
    task = TASKS[path]
    return Options(f"{path}/infer", ModelOptions, task.postprocessor.option_type, task.preprocessor.option_type)


def _answer(request: Request, asked: InferRequest, seen: Perception, tensors: Any) -> Response:
    model = seen.model
    options: Any = seen.options.of(model.postprocessor.option_type)
    wanted = {output.name: output for output in asked.outputs}
    made = []
    for name, output in tensors.items():
        values = tensor(name, output, model.postprocessor, seen.perceived, options)
        parameters = wanted[name].parameters if name in wanted else {}
        binary = parameters.get("binary_data", asked.binary)
        made.append((ranked(values, output, model.postprocessor, wanted.get(name)), binary is True))
    about = {"model_name": model.name, "model_version": model.version, "id": asked.id or request.scope["request_id"]}
    return written(about, made, seen.timing_headers())
