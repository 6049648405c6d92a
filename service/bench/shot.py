"""One kind of request of a load: a file, the path that it is sent to, and how often, against the others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult


@dataclass(frozen=True)
class Shot:
    """body: what is posted to `path`. share: of the load, against the shares of the other kinds."""

    path: str
    body: bytes
    share: float = 1.0
    media_type: str = "application/octet-stream"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From PATH=FILE or PATH=FILE@SHARE. Raises ValueError, and OSError for a file that cannot be read."""
        path, equals, rest = text.partition("=")
        name, _, share = rest.rpartition("@") if _is_number(rest.rpartition("@")[2]) else (rest, "", "1")
        if not (equals and path.strip("/") and name and float(share) > 0):
            raise ValueError(f"{text!r} is not a request: expected PATH=FILE or PATH=FILE@WEIGHT, such as {EXAMPLE}")
        return cls(f"/{path.strip('/')}", Path(name).read_bytes(), float(share))

    def request(self, host: str, key: str | None = None) -> bytes:
        """As it goes over the wire."""
        head = [f"POST {self.path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(self.body)}"]
        head += [f"Content-Type: {self.media_type}", "User-Agent: unireplknet-bench"]
        head += [f"Authorization: Bearer {key}"] if key else []
        return "\r\n".join([*head, "", ""]).encode() + self.body


EXAMPLE = "classify/image=photo.jpg@3"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


@dataclass(frozen=True)
class Address:
    host: str
    port: int
    tls: bool = False

    @classmethod
    def of(cls, url: SplitResult) -> Self:
        """Raises ValueError for what is no address of an HTTP server."""
        if url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/"):
            raise ValueError(f"{url.geturl()!r} is not a server address: expected one such as http://127.0.0.1:8000")
        tls = url.scheme == "https"
        return cls(url.hostname, url.port or (443 if tls else 80), tls)
