"""JSON bodies: a history by the names of its fields, or a request of KServe's time series protocol."""

from collections.abc import Callable
from typing import Any

import orjson

from preprocessors.histories.fields import record_of
from preprocessors.histories.json_arrays import with_arrays
from preprocessors.histories.kserve import kserve_fields
from preprocessors.histories.record import Record
from preprocessors.histories.refusal import damaged, quoted
from preprocessors.histories.terms import Terms

COMMAS_PER_STATION = 8  # between the members of a station, at most; others stand between values
BYTES_PER_VALUE = 2  # at least, a digit and what parts it from the next
SCHEMAS: dict[str, Callable[[dict[str, Any], Terms], dict[str, Any]]] = {"inputs": kserve_fields}  # by a telling member


def read_json(payload: bytes, terms: Terms) -> Record:
    """An object, in UTF-8. Of members of one name the last counts."""
    if len(payload) > BYTES_PER_VALUE * terms.max_values:
        terms.check_values(payload.count(b",") - COMMAS_PER_STATION * terms.max_stations)
    try:
        body = with_arrays(payload) or orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise damaged(
            f"its JSON is malformed, {error}",
            "correct it; null stands for what is missing, NaN and Infinity are no JSON",
        ) from None
    if not isinstance(body, dict):
        raise damaged(f"its JSON is {quoted(body)}, expected an object with series, start_time and stations")
    for member, fields in SCHEMAS.items():
        if member in body:
            body = fields(body, terms)
    return record_of(body, terms)
