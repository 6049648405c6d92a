"""An error response: problem+json (RFC 9457)."""

from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.responses import Response


@dataclass(eq=False)
class Problem(Exception):
    """An error answer. `code` is stable, for programs; `detail` is for people; `extra` are further members."""

    status: int
    code: str
    detail: str
    extra: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


TITLES = {
    400: "Malformed request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    413: "Too large",
    415: "Unsupported media type",
    422: "Unprocessable input",
    429: "Overloaded",
    431: "Headers too large",
    500: "Internal error",
    503: "Not ready",
    504: "Deadline exceeded",
}


def problem_response(problem: Problem, request_id: str) -> Response:
    body = {
        "type": f"urn:unireplknet:error:{problem.code}",
        "title": TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
        **problem.extra,
    }
    return Response(orjson.dumps(body), problem.status, dict(problem.headers), "application/problem+json")
