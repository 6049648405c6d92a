"""Objects from one process to another through memory that both share; through a socket goes only the notice of them.

What lies in the memory: the sizes of the parts, the pickle, and behind it the arrays and files, which it only names.
"""

import pickle
import struct
from collections.abc import Callable, Sequence
from typing import Any

from service.answer_reader import AnswerReader
from service.engine.arena import Arena

NOTICE = struct.Struct("<Q")  # the number of parts
SIZE = 8  # bytes that the size of a part takes
KEPT = 1 << 20  # bytes of an arena that stay: what larger parcels took is given back
MOST_PARTS = 1 << 12  # of an answer: many times as many as any has, and a table of them costs next to nothing


def packed(arena: Arena, item: Any) -> bytes:
    """Lay it over what was there, and return the notice of it. A file goes by itself where it is a PickleBuffer."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(item, pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append)
    parts: list[bytes | memoryview] = [pickled, *(buffer.raw() for buffer in buffers)]
    arena.lay(struct.pack(f"<{len(parts)}Q", *map(len, parts)), *parts)
    return NOTICE.pack(len(parts))


def unpacked_order(arena: Arena, notice: bytes) -> Any:
    """From the server, which is trusted; files are bytes. A copy."""
    pickled, *buffers = _parts(arena, _sizes(arena, notice), bytes)
    return pickle.loads(pickled, buffers=buffers)


def unpacked_answer(arena: Arena, notice: bytes, reader: AnswerReader) -> Any:
    """From a worker, which may do what a hostile file has it do; arrays can be written to. A copy.

    Raises UnpicklingError for what no worker has to send, before there is a copy of it, and ValueError where there is
    less than it tells of.
    """
    _check_count(notice)
    sizes = _sizes(arena, notice)
    reader.check_size(sum(sizes))
    pickled, *buffers = _parts(arena, sizes, bytearray)
    return reader.read(pickled, buffers)


def _check_count(notice: bytes) -> None:
    (count,) = NOTICE.unpack(notice)
    if not 1 <= count <= MOST_PARTS:
        raise pickle.UnpicklingError(f"a decode worker told of {count} parts, expected 1 to {MOST_PARTS}")


def _sizes(arena: Arena, notice: bytes) -> tuple[int, ...]:
    """Of the parts. They are read once: whoever wrote them may change them at any time."""
    (count,) = NOTICE.unpack(notice)
    return struct.unpack(f"<{count}Q", arena.part(0, SIZE * count))


def _parts(arena: Arena, sizes: Sequence[int], copy: Callable[[memoryview], Any]) -> list[Any]:
    parts, offset = [], SIZE * len(sizes)
    for size in sizes:
        parts.append(copy(arena.part(offset, size)))
        offset += size
    return parts
