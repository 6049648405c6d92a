"""Other protocols' shapes of an error, by the prefix of the path."""

from collections.abc import Callable

import orjson
from starlette.responses import Response

from service.problem import Problem, problem_response


def protocol_error(problem: Problem, request_id: str) -> Response:
    """As the Open Inference Protocol wants it."""
    return Response(orjson.dumps({"error": problem.detail}), problem.status, dict(problem.headers), "application/json")


def openai_error(problem: Problem, request_id: str) -> Response:
    """As OpenAI's clients read it: they make their exception by the status."""
    kind = "invalid_request_error" if problem.status < 500 else "server_error"
    error = {"message": problem.detail, "type": kind, "param": None, "code": problem.code}
    return Response(orjson.dumps({"error": error}), problem.status, dict(problem.headers), "application/json")


# By the first prefix that fits; elsewhere problem+json
DIALECTS: dict[str, Callable[[Problem, str], Response]] = {
    "/v2": protocol_error,
    "/v1/timeseries": problem_response,
    "/v1": openai_error,
}
