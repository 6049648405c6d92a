"""Bodies of several parts, multipart/form-data, taken apart in memory as they come."""

from collections.abc import AsyncIterable
from typing import Any

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from service.errors import malformed


class Parts:
    """files: the contents of parts with a file name, in their order. fields: the others, by their names."""

    def __init__(self) -> None:
        self.files: list[bytes] = []
        self.fields: dict[str, str] = {}
        self._segment: Any = None
        self._content: list[bytes] = []

    def take(self, event: MultipartSegment | bytes | None) -> None:
        """What the parser tells: the head of a part, some of its content, or that it has ended."""
        if event is None:
            self._finish(b"".join(self._content))
        elif isinstance(event, MultipartSegment):
            self._segment, self._content = event, []
        else:
            self._content.append(event)

    def _finish(self, content: bytes) -> None:
        if self._segment.filename is None:
            self.fields[self._segment.name] = content.decode(self._segment.charset or "utf-8")
        else:
            self.files.append(content)


async def read_parts(content_type: str, chunks: AsyncIterable[bytes], most: int) -> Parts:
    """content_type: with the boundary. most: parts. Raises Problem 400 for what does not follow the grammar."""
    parts = Parts()
    try:
        boundary = parse_options_header(content_type)[1].get("boundary", "")
        with PushMultipartParser(boundary, max_segment_count=most) as parser:
            async for chunk in chunks:
                for event in parser.parse(chunk) if chunk else ():
                    parts.take(event)
    except (MultipartError, UnicodeDecodeError, LookupError) as error:
        raise malformed(f"invalid multipart body: {error}; let your HTTP client set the Content-Type") from error
    return parts
