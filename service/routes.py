"""One endpoint factory for every task: POST /classify/image, /embed/image, and all that the registry will hold."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from service.answers import (
    NPY,
    EmbeddingAnswer,
    answer_schemas,
    embedding_answer,
    embeddings,
    item_answer,
    npy_bytes,
    provenance,
)
from service.engine.base import ModelInfo
from service.formats import chosen_format, format_options, rendered
from service.json_answer import json_response
from service.openapi import problem_responses, request_body
from service.options import EmbeddingOptions, ModelOptions, Options, ParsedOptions
from service.perceiving import Perception, perceive
from service.plain_route import PlainRoute
from service.runtime import Runtime
from service.tasks import TASKS, Task

Endpoint = Callable[[Request], Awaitable[Response]]


def task_router(runtime: Runtime) -> APIRouter:
    """Every task's endpoints, from the registry."""
    router = APIRouter(route_class=PlainRoute)
    for path, task in TASKS.items():
        _add_answer_route(router, runtime, path, task)
        if task.postprocessor.embeds:
            _add_embedding_route(router, runtime, path, task)
    return router


def _add_answer_route(router: APIRouter, runtime: Runtime, path: str, task: Task) -> None:
    name = path.title().replace("/", "")
    option_type = task.postprocessor.option_type
    format_type = format_options(task.postprocessor.result_type)
    options = Options(f"{name}Options", ModelOptions, option_type, task.preprocessor.option_type, format_type)
    single, several = answer_schemas(name, task.postprocessor.result_type)

    def check(model: ModelInfo, parsed: ParsedOptions) -> None:
        model.postprocessor.check(parsed.of(option_type))

    async def answer(request: Request) -> Response:
        seen = await perceive(runtime, request, path, options, check)
        results = interpreted(seen, option_type)
        wanted: Any = seen.options.of(format_type)
        form = chosen_format(task.postprocessor.result_type, wanted.format, request.headers.get("accept", ""))
        if form is not None:
            return rendered(form, results, seen)
        pairs = zip(results, seen.perceived, strict=True)
        items = [item_answer(result, item, seen.total_ms) for result, item in pairs]
        about = provenance(request.scope["request_id"], seen.model)
        body = {**about, "results": items} if seen.is_list else {**about, **items[0]}
        return json_response(body, seen.timing_headers())

    _add(router, f"/{path}", answer, task, options, single | several)


def interpreted(seen: Perception, option_type: type) -> list[Any]:
    """What is said of every input."""
    options: Any = seen.options.of(option_type)
    return [seen.model.postprocessor.interpret(item.rows, options, item.sample.context) for item in seen.perceived]


def _add_embedding_route(router: APIRouter, runtime: Runtime, path: str, task: Task) -> None:
    name = f"Embed{task.modality.title()}Options"
    options = Options(name, ModelOptions, task.preprocessor.option_type, EmbeddingOptions)

    async def embed(request: Request) -> Response:
        seen = await perceive(runtime, request, path, options, lambda model, parsed: None)
        wanted = seen.options.of(EmbeddingOptions)
        matrix = embeddings(seen.perceived, wanted.normalize)
        if NPY in request.headers.get("accept", ""):
            return Response(npy_bytes(matrix), headers=seen.timing_headers(), media_type=NPY)
        about = provenance(request.scope["request_id"], seen.model)
        return json_response({**about, **embedding_answer(matrix, seen.perceived, wanted)}, seen.timing_headers())

    _add(router, f"/embed/{task.modality}", embed, task, options, EmbeddingAnswer)


def _add(router: APIRouter, path: str, endpoint: Endpoint, task: Task, options: Options, answer: Any) -> None:
    parameters = options.openapi_parameters()
    form = {parameter["name"]: parameter["schema"] for parameter in parameters}
    router.add_api_route(
        path,
        endpoint,
        methods=["POST"],
        summary=path.strip("/").replace("/", ": "),
        tags=[task.modality],
        operation_id=path.strip("/").replace("/", "_"),
        response_model=None,
        responses={200: {"model": answer}, **problem_responses()},
        openapi_extra={"parameters": parameters, "requestBody": request_body(task.preprocessor.media_types, form)},
    )
