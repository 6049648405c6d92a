"""What the generated schema cannot see: the three request formats and the error responses."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from service.json_answer import JSON

PROBLEM_TYPE = "application/problem+json"


class ProblemDetails(BaseModel):
    """RFC 9457, with a stable `code` and the id that finds the request in the server's log."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


PROBLEMS = {
    400: "Malformed body, or no file in it",
    401: "API key missing or invalid",
    403: "Not an admin key",
    404: "No such model",
    408: "The body did not arrive within the time limit",
    413: "A size limit is exceeded: bytes, files, pixels, ...",
    415: "Unsupported file format",
    422: "Undecodable file or invalid option",
    429: "The queue is full or the rate limit is exceeded; see Retry-After",
    503: "Models are loading, the server is draining, the inference process is restarting, or out of memory",
    504: "Deadline exceeded",
}


USUAL = tuple(status for status in PROBLEMS if status != 403)


# Shapes of an error in the document, by media type: ours, and those of other protocols
Shape = dict[str, dict[str, Any]]
PROBLEM: Shape = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
PROTOCOL_ERROR: Shape = {JSON: {"schema": {"type": "object", "properties": {"error": {"type": "string"}}}}}
OPENAI_ERROR: Shape = {JSON: {"schema": {"type": "object", "properties": {"error": {"type": "object"}}}}}


def problem_responses(*statuses: int, shape: Shape = PROBLEM) -> dict[int | str, dict[str, Any]]:
    """Documentation of these statuses, or of all that a task may answer."""
    return {status: {"description": PROBLEMS[status], "content": shape} for status in statuses or USUAL}


def request_body(media_types: tuple[str, ...], form_options: dict[str, Any]) -> dict[str, Any]:
    """One to many files as multipart, one as the raw body, or base64 in JSON. form_options: schemas by name."""
    file = {"type": "string", "format": "binary"}
    multipart = {
        "type": "object",
        "properties": {"file": {"type": "array", "items": file}, **form_options},
        "required": ["file"],
    }
    base64 = {"type": "string", "description": "base64, or a data: URI"}
    json_body = {
        "type": "object",
        "properties": {
            "inputs": {"anyOf": [base64, {"type": "array", "items": base64, "minItems": 1}]},
            "parameters": {"type": "object", "properties": form_options, "additionalProperties": False},
        },
        "required": ["inputs"],
    }
    raw = {media_type: {"schema": file} for media_type in (*media_types, "application/octet-stream")}
    if JSON in media_types:  # the file itself is JSON
        json_body = {"type": "object", "description": "The fields of the input itself"}
    content = {"multipart/form-data": {"schema": multipart}, **raw, JSON: {"schema": json_body}}
    return {"required": True, "content": content}
