"""POST /v1/embeddings in OpenAI's shape: files in base64 or data: URIs in, vectors out."""

import time
from functools import cache

import orjson
import pydantic
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.answers import embeddings, encoded_vectors
from service.catalogue import find_model
from service.errors import Problem, malformed
from service.json_answer import JSON, json_response
from service.openapi import OPENAI_ERROR, problem_responses
from service.options import EmbeddingOptions, ModelOptions, Options
from service.payload import Payload, check_count, decode_base64
from service.perceiving import perceive_payload
from service.runtime import Runtime
from service.tasks import TASKS

USAGE = {"prompt_tokens": 0, "total_tokens": 0}  # files have none


class EmbeddingsRequest(BaseModel):
    """input: one file or a list of them. What else there is are options, as at /embed; `user` is not read."""

    model_config = ConfigDict(extra="allow")

    model: str
    input: str | list[str] = Field(description="base64, or a data: URI")
    encoding_format: str = "float"
    user: str | None = None


class OpenAiEmbedding(BaseModel):
    object: str = "embedding"
    index: int
    embedding: list[float] | str


class OpenAiEmbeddings(BaseModel):
    """embedding: numbers, or base64 of little-endian float32. usage: zeros, since files have no tokens."""

    object: str = "list"
    data: list[OpenAiEmbedding]
    model: str
    usage: dict[str, int]


def openai_router(runtime: Runtime) -> APIRouter:
    router = APIRouter(tags=["embeddings"])

    async def create(request: Request) -> Response:
        started = time.perf_counter()
        runtime.check_ready()
        asked = read_request(await request.body())
        model = find_model(runtime, asked.model)
        if not model.task.postprocessor.embeds:
            raise Problem(422, "invalid_parameter", f"{model.name} answers /{model.path}, and makes no embeddings")
        inputs = [asked.input] if isinstance(asked.input, str) else asked.input
        check_count(len(inputs), runtime.settings.max_items)
        files = [decode_base64(text, place) for place, text in enumerate(inputs)]
        parsed = _options(model.path).parse(asked.model_dump(exclude={"input", "user"}))
        payload = Payload(files, {}, is_list=isinstance(asked.input, list))
        seen = await perceive_payload(runtime, model.path, payload, parsed, lambda model, parsed: None, started)
        wanted = seen.options.of(EmbeddingOptions)
        vectors = encoded_vectors(embeddings(seen.perceived, wanted.normalize), wanted)
        data = [{"object": "embedding", "index": place, "embedding": v} for place, v in enumerate(vectors)]
        answer = {"object": "list", "data": data}
        return json_response({**answer, "model": seen.model.name, "usage": USAGE}, seen.timing_headers())

    router.add_api_route(
        "/v1/embeddings",
        create,
        methods=["POST"],
        operation_id="openai_embeddings",
        response_model=None,
        responses={200: {"model": OpenAiEmbeddings}, **problem_responses(shape=OPENAI_ERROR)},
        openapi_extra={
            "requestBody": {"required": True, "content": {JSON: {"schema": EmbeddingsRequest.model_json_schema()}}}
        },
    )
    return router


def read_request(body: bytes) -> EmbeddingsRequest:
    """Raises Problem 400."""
    try:
        asked = EmbeddingsRequest.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise malformed(f"the body is not JSON: {error}") from error
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise malformed(f'{place}: {fault["msg"]}; expected {{"model": "...", "input": "<base64>"}}') from error
    if not asked.input:
        raise malformed("input is empty: send a file as base64 or a data: URI, or a list of them")
    return asked


@cache
def _options(path: str) -> Options:
    return Options(f"{path}/openai", ModelOptions, TASKS[path].preprocessor.option_type, EmbeddingOptions)
