"""What the generated schema cannot see: request bodies in three grammars, and the problems that answer bad ones."""

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
    400: "The body does not follow the grammar, or holds no file",
    401: "No key, or an unknown one",
    403: "Not an administrator's key",
    404: "No such model",
    408: "The body did not arrive in time",
    413: "A limit on bytes, files or pixels",
    415: "No format that this endpoint reads",
    422: "An undecodable file, or an invalid option",
    429: "The queue is full, or the key asks too often; Retry-After says when to come back",
    503: "Models are loading, the server is draining, the engine was lost, or the input does not fit its memory",
    504: "The time for the request is over",
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
        json_body = {"type": "object", "description": "The input itself, by its fields"}
    content = {"multipart/form-data": {"schema": multipart}, **raw, JSON: {"schema": json_body}}
    return {"required": True, "content": content}
