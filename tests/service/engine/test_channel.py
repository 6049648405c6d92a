import socket
import threading

import numpy as np
import pytest

from service.engine.channel import Kind, Message, Unframer, encoded, messages

SENT: list[Message] = [(Kind.RUN, b"x" * 300), (Kind.PING, b""), (Kind.LOADED, bytes(200_000)), (Kind.ROWS, b"[]")]
STREAM = b"".join(encoded(*message) for message in SENT)


@pytest.mark.parametrize("seed", range(20))
def test_messages_are_cut_right_wherever_the_stream_is_torn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tears = [0, *sorted(rng.integers(0, 400, 10)), *sorted(rng.integers(400, len(STREAM), 5)), len(STREAM)]
    unframer = Unframer()
    pieces = (STREAM[start:end] for start, end in zip(tears, tears[1:], strict=False))
    assert [message for piece in pieces for message in unframer.feed(piece)] == SENT


def test_a_stream_torn_into_bytes_is_the_same() -> None:
    unframer = Unframer()
    short = STREAM[:310]
    assert [message for i in range(len(short)) for message in unframer.feed(short[i : i + 1])] == SENT[:2]


def test_the_engine_waits_for_messages_until_the_server_closes() -> None:
    ours, theirs = socket.socketpair()

    def send() -> None:
        ours.sendall(STREAM)
        ours.close()

    thread = threading.Thread(target=send)
    with theirs:
        thread.start()
        assert list(messages(theirs)) == SENT
    thread.join()
