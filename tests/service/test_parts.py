"""Bodies in parts, as clients write them and as they break."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx2 as httpx
import numpy as np
import pytest
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartParser

from service.parts import Parts, read_parts
from service.problem import Problem

BOUNDARY = "b0undary"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
NOISE = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
TRICKY = b"\r\n--b0undar\r\r\n--" + NOISE[:1000] + b"\r\n--b0undary\r"


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
    return f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"


FIELD = b"Content-Disposition: form-data; name=x\r\n"
END = f"--{BOUNDARY}--\r\n".encode()
WHOLE = part("top_k", b"3") + part("file", NOISE, "noise.bin") + part("note", "über".encode()) + END


async def in_pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]
    yield b""  # as Starlette's stream ends


def read(body: bytes, content_type: str = TYPE, size: int = 1 << 16, most: int = 10) -> Parts:
    return asyncio.run(read_parts(content_type, in_pieces(body, size), most))


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
def test_the_pieces_in_which_a_body_comes_do_not_matter(size: int) -> None:
    body = part("top_k", b"3") + part("a", TRICKY[:-13], "a") + part("b", b"", "b") + part("c", b"\r\n", "c") + END
    found = read(body, size=size)
    assert (found.files, found.fields) == ([TRICKY[:-13], b"", b"\r\n"], {"top_k": "3"})


def test_it_reads_what_a_client_writes_as_the_framework_does() -> None:
    files = [("file", ('ein "Bild".png', NOISE, "image/png")), ("file", ("zwei.png", b"", "image/png"))]
    request = httpx.Request("POST", "http://x", data={"top_k": "3", "note": "über"}, files=files)
    body, content_type = request.read(), request.headers["content-type"]

    async def expected() -> tuple[list[bytes], dict[str, str]]:
        form = await MultiPartParser(request.headers, in_pieces(body, 4096)).parse()  # type: ignore[arg-type]
        files = [await value.read() for value in form.getlist("file") if isinstance(value, UploadFile)]
        fields = {key: value for key, value in form.items() if isinstance(value, str)}
        await form.close()
        return files, fields

    found = read(body, content_type)
    assert (found.files, found.fields) == asyncio.run(expected())


@pytest.mark.parametrize(
    ("body", "content_type", "told"),
    [
        (WHOLE, "multipart/form-data", "boundary"),
        (WHOLE, "multipart/form-data; boundary=other", "Unexpected end"),
        (WHOLE[: len(WHOLE) // 2], TYPE, "Unexpected end"),
        (WHOLE.removesuffix(END), TYPE, "Unexpected end"),
        (b"", TYPE, "Unexpected end"),
        (part("a", b"x") * 11 + END, TYPE, "limit|Maximum"),
        (part("a", b"\xff") + END, TYPE, "utf-8"),
        (b"--b0undary\r\n\r\nx\r\n" + END, TYPE, "Content-Disposition"),
        (b"--b0undary\r\n" + b"A" * 10_000, TYPE, "header"),
        (
            b"--b0undary\r\nContent-Disposition: form-data; name=x\r\nContent-Type: a/b; charset=zz\r\n\r\nx\r\n" + END,
            TYPE,
            "zz",
        ),
    ],
    ids=["no boundary", "another", "cut", "no end", "empty", "many", "no text", "no name", "long head", "charset"],
)
def test_a_broken_body_is_refused(body: bytes, content_type: str, told: str) -> None:
    with pytest.raises(Problem) as refusal:
        read(body, content_type)
    assert (refusal.value.status, refusal.value.code) == (400, "malformed_request")
    assert any(word in refusal.value.detail for word in told.split("|")), refusal.value.detail


def test_noise_is_refused_or_read_and_never_an_error_of_ours() -> None:
    rng = np.random.default_rng(0)
    small = part("top_k", b"3") + part("file", b"content", "f") + END
    for _ in range(3000):
        body = bytearray(small)
        for place in rng.integers(0, len(body), rng.integers(1, 6)):
            body[place] = rng.integers(0, 256)
        with suppress(Problem):
            read(bytes(body), size=int(rng.integers(1, 300)))
