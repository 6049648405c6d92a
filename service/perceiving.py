"""From an HTTP request to perceived inputs: read, validate, decode, predict."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request

from preprocessors.base import WRONG_MODEL, PayloadError, UnsupportedFormat
from service.engine.base import ModelInfo
from service.errors import Problem, payload_problem
from service.options import ModelOptions, Options, ParsedOptions
from service.payload import Payload, read_payload
from service.runtime import Perceived, Runtime
from service.tasks import TASKS

Check = Callable[[ModelInfo, ParsedOptions], None]


@dataclass(frozen=True)
class Perception:
    """All of a request's inputs, perceived. is_list: the client sent several, or a list, and is answered with one."""

    model: ModelInfo
    options: ParsedOptions
    perceived: Sequence[Perceived]
    is_list: bool
    started: float

    @property
    def total_ms(self) -> float:
        return 1e3 * (time.perf_counter() - self.started)

    def timing_headers(self) -> dict[str, str]:
        """Server-Timing by the slowest input, and the size of the batch."""
        phases = {
            "decode": max(item.decode_ms for item in self.perceived),
            "queue": max(item.queue_ms for item in self.perceived),
            "forward": max(item.forward_ms for item in self.perceived),
            "total": self.total_ms,
        }
        timing = ", ".join(f"{name};dur={ms:.2f}" for name, ms in phases.items())
        return {"Server-Timing": timing, "X-Batch-Size": str(self.perceived[0].batch_size)}


async def perceive(runtime: Runtime, request: Request, path: str, options: Options, check: Check) -> Perception:
    """The inputs of a request to `path`; one that fails, named by its place, fails the request."""
    started = time.perf_counter()
    runtime.check_ready()
    payload = await read_payload(request, runtime.settings.max_items, TASKS[path].preprocessor.media_types)
    query = request.query_params if request.scope["query_string"] else {}
    parsed = options.parse({**query, **payload.options})
    return await perceive_payload(runtime, path, payload, parsed, check, started)


async def perceive_payload(
    runtime: Runtime, path: str, payload: Payload, parsed: ParsedOptions, check: Check, started: float
) -> Perception:
    """By the model that was named, or by the first of the task's that the inputs are meant for."""
    name = parsed.of(ModelOptions).model
    candidates = [runtime.model(path, name)]
    if name is None:
        candidates += [other for other in runtime.models.values() if other.path == path and other not in candidates]
    with runtime.repository.hold(candidates):
        return await perceive_by_first(runtime, candidates, payload, parsed, check, started)


async def perceive_by_first(
    runtime: Runtime,
    candidates: Sequence[ModelInfo],
    payload: Payload,
    parsed: ParsedOptions,
    check: Check,
    started: float,
) -> Perception:
    """By the first of these models that the inputs are meant for. Whoever calls it holds them."""
    refusal: Problem | None = None
    for model in candidates:
        check(model, parsed)
        try:
            perceived = await _perceive_all(runtime, model, payload, parsed)
        except Problem as problem:
            if problem.code != WRONG_MODEL:
                raise
            refusal = refusal or problem
        else:
            return Perception(model, parsed, perceived, payload.is_list, started)
    assert refusal is not None
    raise refusal


async def _perceive_all(runtime: Runtime, model: ModelInfo, payload: Payload, parsed: ParsedOptions) -> list[Perceived]:
    decoding: Any = parsed.of(model.preprocessor.option_type)
    if len(payload.files) == 1:
        return [await _at_place(runtime.perceive(model, payload.files[0], decoding), 0, payload, model)]
    tasks = [asyncio.create_task(runtime.perceive(model, file, decoding)) for file in payload.files]
    try:
        return [await _at_place(task, place, payload, model) for place, task in enumerate(tasks)]
    finally:
        for task in tasks:
            task.cancel()


async def _at_place(task: Awaitable[Perceived], place: int, payload: Payload, model: ModelInfo) -> Perceived:
    """Say which of several inputs was refused, and what would have been accepted."""
    try:
        return await task
    except PayloadError as error:
        problem = payload_problem(error)
        if payload.is_list:
            detail, extra = f"input {place}: {problem.detail}", {**problem.extra, "input": place}
            problem = replace(problem, detail=detail, extra=extra)
        if isinstance(error, UnsupportedFormat):
            problem = replace(problem, headers={"Accept": ", ".join(model.preprocessor.media_types)})
        raise problem from error
