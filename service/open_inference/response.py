"""Answers of the protocol: JSON, with binary tensors behind it where those are wanted."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Response

from service.json_answer import JSON, to_json
from service.open_inference.request import HEADER_LENGTH
from service.open_inference.tensors import Tensor

BINARY = "application/octet-stream"


def written(about: Mapping[str, Any], tensors: Sequence[tuple[Tensor, bool]], headers: Mapping[str, str]) -> Response:
    """tensors: each with whether it comes in binary."""
    outputs, parts = [], []
    for tensor, binary in tensors:
        described, data = tensor.in_binary() if binary else (tensor.in_json(), b"")
        outputs.append(described)
        parts.append(data)
    head = to_json({**about, "outputs": outputs})
    if not any(binary for _, binary in tensors):
        return Response(head, headers=dict(headers), media_type=JSON)
    lengths = {HEADER_LENGTH: str(len(head))}
    return Response(b"".join([head, *parts]), headers={**headers, **lengths}, media_type=BINARY)
