"""One table from every exception to what the client is told, as problem+json (RFC 9457)."""

import logging
import math
from collections.abc import Callable, Iterable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from models.postprocessors.base import InvalidOption
from preprocessors.base import PayloadError, TooLarge, UndecodableInput, UnsupportedFormat
from service.admission import Overloaded
from service.decoding import DecodersUnavailable
from service.dialects import DIALECTS
from service.engine.base import OutOfMemory, WorkerLost
from service.http_layer import HttpLayer
from service.lane import DeadlineExceeded
from service.problem import Problem as Problem
from service.problem import problem_response

log = logging.getLogger(__name__)

CLIENT_CLOSED_REQUEST = 499  # never seen on the wire


def malformed(detail: str) -> Problem:
    return Problem(400, "malformed_request", detail)


def not_ready(detail: str, retry_after_s: int = 1) -> Problem:
    return Problem(503, "not_ready", detail, headers={"Retry-After": str(retry_after_s)})


def model_not_found(name: str | None, available: Iterable[str], path: str | None = None) -> Problem:
    """name: None where any model of the path would do."""
    named = "" if name is None else f" named {name!r}"
    wanted = "" if path is None else f" for /{path}"
    return Problem(404, "model_not_found", f"no model{named}{wanted}; available: {', '.join(available) or 'none'}")


def draining() -> Problem:
    detail = "the server is shutting down: send the request to another replica"
    return Problem(503, "draining", detail, headers={"Retry-After": "1", "Connection": "close"})


PAYLOAD_STATUS: dict[type[PayloadError], int] = {UnsupportedFormat: 415, UndecodableInput: 422, TooLarge: 413}


def payload_problem(error: PayloadError) -> Problem:
    extra = {key: value for key, value in (("limit", error.limit), ("actual", error.actual)) if value is not None}
    return Problem(PAYLOAD_STATUS[type(error)], error.code, error.detail, extra)


def _overload_problem(error: Overloaded) -> Problem:
    headers = {"Retry-After": _whole_seconds(error.retry_after_s)}
    return Problem(429, "overloaded", str(error), {"limit": error.limit, "reason": error.reason}, headers)


def _whole_seconds(seconds: float) -> str:
    return str(max(1, math.ceil(seconds)))


def _deadline_problem(error: DeadlineExceeded) -> Problem:
    detail = "deadline exceeded: send fewer files, or raise X-Request-Timeout-Ms"
    return Problem(504, "deadline_exceeded", detail)


def _memory_problem(error: OutOfMemory) -> Problem:
    detail = "this input alone exceeds the device memory: send a smaller one, or retry later"
    return Problem(503, "out_of_memory", detail, headers={"Retry-After": "1"})


def _worker_problem(error: WorkerLost) -> Problem:
    detail = f"the inference process crashed and is restarting ({error}): retry"
    return Problem(503, "worker_lost", detail, headers={"Retry-After": _whole_seconds(error.retry_after_s)})


def _validation_problem(error: RequestValidationError) -> Problem:
    """Of the few routes whose parameters FastAPI reads."""
    faults = error.errors()
    told = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
    if any(fault["type"] == "json_invalid" for fault in faults):
        return malformed(f"the body is not JSON: {told}")
    return Problem(422, "invalid_parameter", told)


def _router_problem(error: HTTPException, scope: Scope) -> Problem:
    """Starlette says neither what was asked for nor what there is."""
    headers = dict(error.headers or {})
    if error.status_code == 404:
        return Problem(404, "not_found", f"no endpoint at {scope['path']!r}: GET /docs lists them all")
    if error.status_code == 405:
        allowed = headers.get("Allow", "another method")
        detail = f"{scope['path']!r} does not support {scope['method']}: use {allowed}; GET /docs lists every endpoint"
        return Problem(405, "method_not_allowed", detail, {}, headers)
    return Problem(error.status_code, "malformed_request", error.detail, {}, headers)


PROBLEMS: dict[type[Exception], Callable[[Any], Problem]] = {
    Problem: lambda problem: problem,
    PayloadError: payload_problem,
    InvalidOption: lambda error: Problem(422, "invalid_parameter", str(error)),
    RequestValidationError: _validation_problem,
    Overloaded: _overload_problem,
    DeadlineExceeded: _deadline_problem,
    OutOfMemory: _memory_problem,
    WorkerLost: _worker_problem,
    DecodersUnavailable: lambda error: not_ready(str(error)),
    ClientDisconnect: lambda error: Problem(
        CLIENT_CLOSED_REQUEST, "client_closed_request", "the client closed the connection"
    ),
    Exception: lambda error: Problem(
        500, "internal", "internal error: the server log has the details under this request id"
    ),
}


def answer_error(error: Exception, scope: Scope) -> Response:
    """The response to an exception, by the first of its base classes in the table; notes the problem's code."""
    kind = next(kind for kind in type(error).__mro__ if kind in PROBLEMS)
    problem = PROBLEMS[kind](error)
    request_id = scope["request_id"]
    if problem.status == 500:
        log.error("request %s failed", request_id, exc_info=error)
    scope["problem"] = problem.code
    write = next((write for prefix, write in DIALECTS.items() if scope["path"].startswith(prefix)), problem_response)
    return write(problem, request_id)


def install(app: FastAPI) -> None:
    """Answer exceptions by the table; unexpected ones are left to Faults, which does not raise them again."""

    async def handle(request: Request, error: Exception) -> Response:  # a plain function would be run on a thread
        return answer_error(error, request.scope)

    async def handle_router(request: Request, error: HTTPException) -> Response:
        return answer_error(_router_problem(error, request.scope), request.scope)

    for kind in PROBLEMS.keys() - {Exception}:
        app.add_exception_handler(kind, handle)
    app.add_exception_handler(HTTPException, handle_router)  # type: ignore[arg-type]


class Faults(HttpLayer):
    """Answers what the inner layers raise by the table, and anything unexpected with 500, without a stack trace."""

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except ClientDisconnect as error:
            if not started:
                await answer_error(error, scope)(scope, receive, send)
        except Exception as error:
            if started:
                raise
            await answer_error(error, scope)(scope, receive, send)
