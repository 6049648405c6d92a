"""A payload's format is told by its first bytes, and a refusal names them, what is expected, and what to do."""

import pytest

from preprocessors.base import UndecodableInput, UnsupportedFormat
from preprocessors.formats import recognise

FORMATS = {"red": lambda payload: payload.startswith(b"R"), "any": lambda payload: payload.startswith(b"RG")}


def test_the_first_format_that_knows_the_payload_is_named() -> None:
    assert recognise(b"RGB", FORMATS, "colour") == "red"


def test_a_payload_of_no_format_is_quoted_and_the_formats_listed() -> None:
    told = r"unrecognized colour format \(starts with b'0123\\x004567'\): send one of red, any"
    with pytest.raises(UnsupportedFormat, match=told.replace("4567", "456")) as refusal:
        recognise(b"0123\x004567", FORMATS, "colour")
    assert refusal.value.code == "unsupported_media_type"


@pytest.mark.parametrize(("payload", "size"), [(b"", "0 bytes"), (b" \r\n", "3 bytes of blanks")])
def test_an_empty_file_is_called_empty(payload: bytes, size: str) -> None:
    with pytest.raises(UndecodableInput, match=rf"the colour file is empty \({size}\)"):
        recognise(payload, FORMATS, "colour")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_text_in_utf_16_is_to_be_saved_as_utf_8(encoding: str) -> None:
    with pytest.raises(UndecodableInput, match="UTF-16: save it as UTF-8"):
        recognise("\ufeffR".encode(encoding), FORMATS, "colour")
