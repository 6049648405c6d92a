"""What clients send by mistake or in malice, and what they are told."""

import http.client
import io
import struct
import zlib

from PIL import Image

from benchmarks.peers.setting import FIELD, ROUTE

BOUNDARY = "b0undary"
PATIENCE_S = 30.0
SIDE = 7072  # squared: 50 megapixels


def multipart(file: bytes, name: str = "picture.jpg", media_type: str = "image/jpeg") -> tuple[bytes, str]:
    """Body and Content-Type of a form with one file."""
    disposition = f'Content-Disposition: form-data; name="{FIELD}"; filename="{name}"'
    head = f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: {media_type}\r\n\r\n"
    return head.encode() + file + f"\r\n--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}"


def header_bomb() -> bytes:
    """A PNG of 50 megapixels in a few kilobytes."""
    rows = zlib.compress(bytes(SIDE * (1 + 3 * SIDE // 1000)), 9)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def truncated_jpeg() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((640, 480), 64).convert("RGB").save(file, "JPEG")
    return file.getvalue()[: len(file.getvalue()) // 2]


def status(port: int, body: bytes, content_type: str) -> int:
    """Of the answer; 0 where there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("POST", ROUTE, body, {"Content-Type": content_type})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def statuses(port: int) -> dict[str, int]:
    return {
        "empty_body": status(port, b"", f"multipart/form-data; boundary={BOUNDARY}"),
        "text_as_image": status(port, *multipart(b"this is no picture" * 100)),
        "truncated_jpeg": status(port, *multipart(truncated_jpeg())),
        "header_bomb": status(port, *multipart(header_bomb(), "picture.png", "image/png")),
    }
