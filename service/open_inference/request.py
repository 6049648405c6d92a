"""What an inference request holds: files, the outputs that are wanted, and options."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Any

import orjson
import pydantic
from pydantic import BaseModel, ConfigDict, Field

from service.errors import Problem, malformed
from service.large_json import LongStrings, parse_json
from service.open_inference.tensors import BYTES, read_bytes
from service.payload import check_count, decode_base64, long_string

TEXT = "str"
HEADER_LENGTH = "inference-header-content-length"
RESERVED = {"binary_data_output", "priority", "sequence_end", "sequence_id", "sequence_start", "timeout"}

Parameters = dict[str, bool | int | float | str | None]


class InferInput(BaseModel):
    """Encoded files. data: texts in base64 or data: URIs, as nested as `shape` says; absent where they come behind the
    JSON, `binary_data_size` bytes. content_type `str` among the parameters: the texts are files themselves."""

    name: str
    shape: list[Annotated[int, Field(ge=0)]] = Field(max_length=8)
    datatype: str
    parameters: Parameters = {}
    data: list[Any] | None = None


class InferOutput(BaseModel):
    name: str
    parameters: Parameters = {}


class InferBody(BaseModel):
    """parameters: options of the model, as anywhere else, beside those that the protocol reserves."""

    model_config = ConfigDict(title="InferRequest")

    id: str | None = None
    parameters: Parameters = {}
    inputs: list[InferInput] = Field(min_length=1)
    outputs: list[InferOutput] = []


@dataclass(frozen=True)
class InferRequest:
    """outputs: all where none is named. binary: whether they come in binary where their own parameters do not say."""

    files: list[bytes]
    options: dict[str, Any] = field(default_factory=dict)
    outputs: list[InferOutput] = field(default_factory=list)
    binary: bool = False
    id: str | None = None
    timeout_s: float = math.inf


def read_request(body: bytes, header_length: str | None, input_name: str, max_items: int) -> InferRequest:
    """header_length: of the JSON, in bytes; None where there is nothing else, 0 where the body is a file by itself.

    Raises Problem 400 for what does not follow the protocol, 413 for too many files.
    """
    length = _json_length(header_length, len(body))
    if length == 0:
        return InferRequest([body], binary=True)
    try:
        content, strings = parse_json(body[:length])
        asked = InferBody.model_validate(content)
    except orjson.JSONDecodeError as error:
        raise malformed(f"the request is not JSON: {error}") from error
    except pydantic.ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:3])
        raise malformed(f"not a request of the Open Inference Protocol: {faults}") from error
    return InferRequest(
        _read_files(_only_input(asked, input_name), memoryview(body)[length:], strings, max_items),
        {name: value for name, value in asked.parameters.items() if name not in RESERVED},
        asked.outputs,
        asked.parameters.get("binary_data_output") is True,
        asked.id,
        _timeout_s(asked.parameters.get("timeout")),
    )


def _json_length(given: str | None, size: int) -> int:
    if given is None:
        return size
    if not given.isdecimal() or len(given) > 18 or int(given) > size:
        raise malformed(f"{HEADER_LENGTH} is {given!r}, expected the length of the JSON in bytes, 0 to {size}")
    return int(given)


def _only_input(asked: InferBody, name: str) -> InferInput:
    names = [tensor.name for tensor in asked.inputs]
    if names != [name]:
        raise malformed(f"the inputs are {', '.join(map(repr, names))}, expected a single one named {name!r}")
    (tensor,) = asked.inputs
    if tensor.datatype != BYTES:
        raise malformed(f"{name} has datatype {tensor.datatype!r}, expected {BYTES}: encoded files")
    return tensor


def _read_files(tensor: InferInput, binary: memoryview, strings: LongStrings, max_items: int) -> list[bytes]:
    count, size = math.prod(tensor.shape), tensor.parameters.get("binary_data_size")
    if not count:
        raise malformed(f"{tensor.name} has the shape {tensor.shape}, expected at least one file")
    check_count(count, max_items)
    if (size is None) == (tensor.data is None):
        raise malformed(f"{tensor.name} must have either data or the parameter binary_data_size")
    if (size or 0) != len(binary):
        raise malformed(f"{len(binary)} bytes follow the JSON, but binary_data_size of {tensor.name} is {size or 0}")
    if tensor.data is None:
        return read_bytes(binary, count)
    texts = _flat(tensor.data, len(tensor.shape))
    if len(texts) != count:
        raise malformed(f"{tensor.name} has {len(texts)} elements, but the shape {tensor.shape}")
    read = _text if tensor.parameters.get("content_type") == TEXT else decode_base64
    return [read(value, i, strings) for i, value in enumerate(texts)]


def _flat(data: list[Any], axes: int) -> list[Any]:
    """Nested lists are as good as flat ones."""
    for _ in range(axes - 1):
        if not all(isinstance(item, list) for item in data):
            break
        data = [element for item in data for element in item]
    return data


def _text(value: Any, index: int, strings: LongStrings) -> bytes:
    if not isinstance(value, str):
        raise malformed(f"input {index} is a {type(value).__name__}, expected a string")
    return bytes(long_string(value, strings))


def _timeout_s(given: Any) -> float:
    """The protocol's are microseconds."""
    if given is None:
        return math.inf
    if isinstance(given, bool) or not isinstance(given, int) or given <= 0:
        raise Problem(422, "invalid_parameter", f"timeout is {given!r}, expected a positive integer of microseconds")
    return given / 1e6
