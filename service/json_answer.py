"""Bodies in JSON, numpy arrays included."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response

JSON = "application/json"


def to_json(body: Any) -> bytes:
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def json_response(body: Any, headers: Mapping[str, str]) -> Response:
    return Response(to_json(body), headers=headers, media_type=JSON)
