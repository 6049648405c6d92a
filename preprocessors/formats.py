"""Which of several formats a payload is of, by its first bytes; and what is said of payloads that are of none."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Mapping

from preprocessors.base import UndecodableInput, UnsupportedFormat

SHOWN = 8  # bytes of the payload that a refusal quotes

Recognises = Callable[[bytes], object]


def recognise(payload: bytes, formats: Mapping[str, Recognises], noun: str) -> str:
    """The name of the first format that knows the payload. Raises PayloadError where none does.

    noun: what is expected, such as "image".
    """
    check_not_empty(payload, noun)
    if payload.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise UndecodableInput("undecodable_input", "the file is text in UTF-16: save it as UTF-8")
    for name, recognises in formats.items():
        if recognises(payload):
            return name
    raise unrecognized(payload, noun, formats)


def check_not_empty(payload: bytes, noun: str) -> None:
    if not payload or payload.isspace():
        size = "0 bytes" if not payload else f"{len(payload)} bytes of blanks"
        detail = f"the {noun} file is empty ({size}): check where it was written, and send it again"
        raise UndecodableInput("undecodable_input", detail)


def unrecognized(payload: bytes, noun: str, names: Iterable[str]) -> UnsupportedFormat:
    detail = f"unrecognized {noun} format (starts with {payload[:SHOWN]!r}): send one of {', '.join(names)}"
    return UnsupportedFormat("unsupported_media_type", detail)
