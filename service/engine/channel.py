"""Messages between a server and its engine: a kind, a length, a body, over a stream socket."""

import socket
import struct
import threading
from collections.abc import Iterator
from enum import IntEnum

HEADER = struct.Struct("<BI")
CHUNK = 1 << 16


class Kind(IntEnum):
    """What is asked (first) and what is answered, in the same order. Bodies are JSON but for those said to be pickled.

    Neither end is hostile to the other: one has started the other.
    """

    LOAD = 1  # pickled: where to import from, and what to call
    RUN = 2  # slot, model, layout of the views in the slot's arena
    PING = 3
    ADD = 4  # key, source: a further model
    WARM_UP = 5  # key, size of the batch
    REMOVE = 6  # key

    LOADED = 11  # pickled: Loaded
    FAILED = 12  # kind of the error, its message: the models could not be loaded
    ROWS = 13  # slot, layout of the outputs in the slot's arena
    ERROR = 14  # slot, kind of the error, its message
    PONG = 15  # bytes in use, by kind
    DONE = 16  # null, or kind of the error and its message: WARM_UP, REMOVE
    ADDED = 17  # pickled: key, ModelInfo pickled. This and the next come whenever the model is loaded, out of order
    NOT_ADDED = 18  # key, kind of the error, its message


Message = tuple[Kind, bytes]


def encoded(kind: Kind, body: bytes = b"") -> bytes:
    return HEADER.pack(kind, len(body)) + body


def arrived(connection: socket.socket, most: int) -> bytes | None:
    """What a connection that does not block has; nothing yet: None; and b"" where it has ended, however that was."""
    try:
        return connection.recv(most)
    except BlockingIOError:
        return None
    except OSError:
        return b""


class Sender:
    """Sends whole messages, from any thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._lock = connection, threading.Lock()

    def __call__(self, message: bytes) -> None:
        with self._lock:
            self._connection.sendall(message)


class Unframer:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that these bytes complete."""
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            kind, length = HEADER.unpack_from(self._buffer)
            end = HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[HEADER.size : end])
            del self._buffer[:end]
            yield Kind(kind), body


def messages(connection: socket.socket) -> Iterator[Message]:
    """Wait for one message after the other, until the other end closes."""
    unframer = Unframer()
    while data := connection.recv(CHUNK):
        yield from unframer.feed(data)
