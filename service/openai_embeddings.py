"""POST /v1/embeddings in OpenAI's shape: files in base64 or data: URIs in, vectors out."""

import time
from functools import cache
from typing import Any

import orjson
import pydantic
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.answers import embeddings, encoded_vectors
from service.catalogue import find_model
from service.errors import Problem, malformed
from service.json_answer import JSON, json_response
from service.large_json import parse_json
from service.off_loop import off_loop
from service.openapi import OPENAI_ERROR, problem_responses
from service.options import EmbeddingOptions, ModelOptions, Options
from service.payload import Payload, check_count, decode_base64
from service.perceiving import Perception, perceive_payload
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
        body = await request.body()
        asked, files = await off_loop(len(body), read_request, body, runtime.settings.max_items)
        model = find_model(runtime, asked.model)
        if not model.task.postprocessor.embeds:
            raise Problem(422, "invalid_parameter", f"{model.name} does not make embeddings: use /{model.path}")
        parsed = _options(model.path).parse(asked.model_dump(exclude={"input", "user"}))
        payload = Payload(files, {}, is_list=isinstance(asked.input, list))
        seen = await perceive_payload(runtime, model.path, payload, parsed, lambda model, parsed: None, started)
        return json_response(_answer(seen), seen.timing_headers())

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


def _answer(seen: Perception) -> dict[str, Any]:
    wanted = seen.options.of(EmbeddingOptions)
    vectors = encoded_vectors(embeddings(seen.perceived, wanted.normalize), wanted)
    items = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
    return {"object": "list", "data": items, "model": seen.model.name, "usage": USAGE}


def read_request(body: bytes, max_items: int) -> tuple[EmbeddingsRequest, list[bytes]]:
    """With its files. Raises Problem 400, and 413 for too many files."""
    try:
        content, strings = parse_json(body)
        asked = EmbeddingsRequest.model_validate(content)
    except orjson.JSONDecodeError as error:
        raise malformed(f"the body is not JSON: {error}") from error
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise malformed(f'{place}: {fault["msg"]}; expected {{"model": "...", "input": "<base64>"}}') from error
    if not asked.input:
        raise malformed("input is empty: send a file as base64 or a data: URI, or a list of them")
    inputs = [asked.input] if isinstance(asked.input, str) else asked.input
    check_count(len(inputs), max_items)
    return asked, [decode_base64(text, place, strings) for place, text in enumerate(inputs)]


@cache
def _options(path: str) -> Options:
    return Options(f"{path}/openai", ModelOptions, TASKS[path].preprocessor.option_type, EmbeddingOptions)
