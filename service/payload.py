"""The request grammar: multipart files, one raw body, or JSON with base64; all become payloads and options."""

import binascii
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request

from service.errors import Problem, malformed
from service.large_json import LongStrings, decode_in_chunks, parse_json
from service.off_loop import off_loop
from service.parts import read_parts

MAX_FORM_PARTS = 1000  # the limit on files is answered by its own error; this one only bounds the parser
MAX_URI_HEADER = 1000  # bytes before the comma of a data: URI


@dataclass(frozen=True)
class Payload:
    """Encoded files in the order they came, and the options beside them, not validated yet.

    is_list: the client sent a list, even of one, and expects a list of answers.
    """

    files: list[bytes]
    options: Mapping[str, Any]
    is_list: bool = False


async def read_payload(request: Request, max_items: int, media_types: Container[str] = ()) -> Payload:
    """Raises Problem: 400 for a body that does not follow the grammar, 413 for too many files.

    media_types: those of the files themselves. Where JSON is among them, a JSON body is a file, and holds none.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    reader = _read_raw if media_type in media_types else READERS.get(media_type, _read_raw)
    payload = await reader(request)
    if not payload.files:
        raise malformed(
            "no file in the request: send one as multipart part 'file', as the raw body, or as base64 in 'inputs'"
        )
    check_count(len(payload.files), max_items)
    return payload


def check_count(files: int, max_items: int) -> None:
    """Raises Problem 413."""
    if files > max_items:
        detail = f"{files} files in one request, the limit is {max_items}: split them over several requests"
        raise Problem(413, "too_many_items", detail, {"limit": max_items, "actual": files})


async def _read_raw(request: Request) -> Payload:
    """Whatever else the Content-Type says: clients set it wrongly, and the decoder looks at the bytes."""
    body = await request.body()
    if not body:
        raise malformed(
            "no file in the request, its body has 0 bytes: send one as the body, or as multipart part 'file'"
        )
    return Payload([body], {})


async def _read_multipart(request: Request) -> Payload:
    parts = await read_parts(request.headers["content-type"], request.stream(), MAX_FORM_PARTS)
    return Payload(parts.files, parts.fields, is_list=len(parts.files) > 1)


async def _read_json(request: Request) -> Payload:
    body = await request.body()
    return await off_loop(len(body), _json_payload, body)


def _json_payload(content: bytes) -> Payload:
    try:
        body, strings = parse_json(content)
    except orjson.JSONDecodeError as error:
        raise malformed(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict) or "inputs" not in body:
        raise malformed('the JSON body must be an object such as {"inputs": "<base64>", "parameters": {"top_k": 3}}')
    options = body.get("parameters") or {}
    if not isinstance(options, dict):
        raise malformed(f'"parameters" is a {type(options).__name__}, expected an object of options')
    inputs = body["inputs"] if isinstance(body["inputs"], list) else [body["inputs"]]
    files = [decode_base64(value, i, strings) for i, value in enumerate(inputs)]
    return Payload(files, options, is_list=isinstance(body["inputs"], list))


def decode_base64(value: Any, index: int, strings: LongStrings) -> bytes:
    """base64 or a data: URI. Raises Problem 400 that names the place of the input."""
    if not isinstance(value, str):
        raise malformed(f"input {index} is a {type(value).__name__}, expected a base64 string or a data: URI")
    text = _without_uri_header(long_string(value, strings), index)
    try:
        return decode_in_chunks(text)
    except binascii.Error as error:
        raise malformed(f"input {index} is not base64: {error}") from error


def long_string(value: str, strings: LongStrings) -> memoryview:
    """A string as it was sent, where it may have been cut out of its JSON."""
    return strings.get(value) or memoryview(value.encode())


def _without_uri_header(text: memoryview, index: int) -> memoryview:
    start = bytes(text[:MAX_URI_HEADER])
    if start.startswith((b"http://", b"https://")):
        raise malformed(f"input {index} is a URL, which this server does not fetch: send the file itself")
    if not start.startswith(b"data:"):
        return text
    header, comma, _ = start.partition(b",")
    if not comma or not header.endswith(b";base64"):
        raise malformed(f"input {index} is a data: URI that is not base64: expected data:<type>;base64,<content>")
    return text[len(header) + 1 :]


READERS: dict[str, Callable[[Request], Awaitable[Payload]]] = {
    "multipart/form-data": _read_multipart,
    "application/json": _read_json,
}
