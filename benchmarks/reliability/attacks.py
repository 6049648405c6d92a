"""Bytes that no decent client sends, as pieces with pauses between them."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.hostile import damaged
from tests.tiny import encoded, picture

CRLF = b"\r\n"
PAUSE_S = 0.4
BOUNDARY = b"b0undary"
FLOOD_BYTES = 20_000_000


@dataclass(frozen=True)
class Attack:
    """pieces: each with the pause behind it. leaves: the client goes at the end of them; or waits to be answered."""

    pieces: Callable[[random.Random], Iterator[tuple[bytes, float]]]
    leaves: bool = False


def request(body: bytes = b"", *headers: bytes, method: bytes = b"POST", target: bytes = b"/classify/image") -> bytes:
    length = [] if any(header.lower().startswith((b"content-le", b"transfer")) for header in headers) else [len(body)]
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: a", *headers]
    lines += [b"Content-Length: %d" % size for size in length]
    return CRLF.join([*lines, b"", body])


def chunked(*chunks: bytes) -> bytes:
    return request(b"".join(chunks), b"Transfer-Encoding: chunked")


def multipart(body: bytes) -> bytes:
    return request(body, b"Content-Type: multipart/form-data; boundary=" + BOUNDARY)


def part(name: bytes, content: bytes = b"x") -> bytes:
    head = b"--%s\r\nContent-Disposition: form-data; %s\r\n\r\n" % (BOUNDARY, name)
    return head + content + CRLF


def json_body(body: bytes) -> bytes:
    return request(body, b"Content-Type: application/json")


def get(target: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    return request(b"", *headers, method=method, target=target)


PICTURE = encoded(picture())
GOOD = multipart(part(b'name="file"; filename="a.png"', PICTURE) + b"--" + BOUNDARY + b"--\r\n")
WEBSOCKET = (
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: " + b"A" * 24,
)
H2C = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")

WHOLE: dict[str, bytes] = {
    "chunk of no size": chunked(b"ZZ\r\nabc\r\n0\r\n\r\n"),
    "chunk of endless size": chunked(b"F" * 40 + b"\r\nabc\r\n"),
    "chunk of negative size": chunked(b"-5\r\nabc\r\n0\r\n\r\n"),
    "chunk that does not end": chunked(b"5\r\nabc"),
    "chunks without a last": chunked(b"3\r\nabc\r\n"),
    "chunk extension": chunked(b"3;" + b"a=b;" * 9000 + b"\r\nabc\r\n0\r\n\r\n"),
    "trailers": chunked(b"3\r\nabc\r\n0\r\n" + b"A: b\r\n" * 3000 + CRLF),
    "length and chunks": request(b"3\r\nabc\r\n0\r\n\r\n", b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    "chunks twice": request(b"3\r\nabc\r\n0\r\n\r\n", b"Transfer-Encoding: chunked, chunked"),
    "coding unknown": request(b"abc", b"Transfer-Encoding: gzip"),
    "two lengths": request(b"abc", b"Content-Length: 3", b"Content-Length: 4"),
    "negative length": request(b"abc", b"Content-Length: -3"),
    "length of no number": request(b"abc", b"Content-Length: three"),
    "length in hex": request(b"abc", b"Content-Length: 0x3"),
    "endless length": request(b"abc", b"Content-Length: " + b"9" * 30),
    "length never reached": request(b"abc", b"Content-Length: 1000"),
    "long target": get(b"/" + b"a" * 100_000),
    "long query": get(b"/models?" + b"a=b&" * 15_000),
    "many headers": get(b"/models", *[b"A%d: b" % number for number in range(4000)]),
    "header without a colon": get(b"/models", b"nonsense"),
    "header without a name": get(b"/models", b": b"),
    "folded header": get(b"/models", b"A: b", b" c"),
    "null in a header": get(b"/models", b"A: b\0c"),
    "bytes in a header": get(b"/models", b"X-Request-Id: \xff\xfe", b"Authorization: \xff"),
    "line feeds alone": GOOD.replace(CRLF, b"\n"),
    "carriage returns alone": get(b"/models").replace(CRLF, b"\r"),
    "no version": b"GET /models\r\n\r\n",
    "wrong version": get(b"/models").replace(b"HTTP/1.1", b"HTTP/9.9"),
    "old version": get(b"/models").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(40),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    "method unknown": get(b"/models", method=b"FROG"),
    "method that tunnels": get(b"a:1", method=b"CONNECT"),
    "method that traces": get(b"/models", method=b"TRACE"),
    "any target": get(b"*", method=b"OPTIONS"),
    "whole address": get(b"http://other/models"),
    "bytes in the target": get(b"/models/\xff\xfe"),
    "null in the target": get(b"/models/%00%ff%zz"),
    "dots in the target": get(b"/playground/../../../../etc/passwd"),
    "dots in the target, hidden": get(b"/playground/%2e%2e/%2e%2e/settings.py"),
    "options of no value": request(PICTURE, target=b"/classify/image?top_k=%zz&model=%ff&=&&exact"),
    "websocket": get(b"/models", *WEBSOCKET),
    "websocket to a task": get(b"/classify/image", *WEBSOCKET),
    "HTTP/2 upgrade": get(b"/models", *H2C) + bytes(60),
    "expectation": request(PICTURE, b"Expect: 100-continue"),
    "expectation unknown": request(PICTURE, b"Expect: frogs"),
    "requests in one piece": get(b"/health/live") * 800,
    "good, then rubbish": GOOD + b"\x00\x01\x02rubbish\r\n\r\n",
    "no boundary": request(b"abc", b"Content-Type: multipart/form-data"),
    "endless boundary": request(b"abc", b"Content-Type: multipart/form-data; boundary=" + b"b" * 5000),
    "part that does not end": multipart(part(b'name="file"; filename="a"')[:-1]),
    "many parts": multipart(part(b'name="a"') * 3000 + b"--" + BOUNDARY + b"--\r\n"),
    "many files": multipart(part(b'name="file"; filename="a"') * 300 + b"--" + BOUNDARY + b"--\r\n"),
    "part with endless headers": multipart(b"--" + BOUNDARY + b"\r\n" + b"A: b\r\n" * 9000),
    "part of no name": multipart(part(b"") + b"--" + BOUNDARY + b"--\r\n"),
    "deep JSON": json_body(b'{"inputs":' + b"[" * 100_000),
    "JSON of no text": json_body(b'{"inputs": "\xff\xfe"}'),
    "JSON of large numbers": json_body(b'{"inputs": [1e999, ' + b"9" * 5000 + b"]}"),
    "JSON of another form": json_body(b'[[[{"a": null}]]]'),
    "surrogate in JSON": json_body(b'{"inputs": "\\ud800", "parameters": {"\\udfff": 1}}'),
    "deadline of no time": request(PICTURE, b"X-Request-Timeout-Ms: " + b"9" * 400),
}  # fmt: skip


def whole(data: bytes) -> Attack:
    return Attack(lambda rng: iter([(data, 0.0)]))


def _slowly(data: bytes) -> Attack:
    return Attack(lambda rng: ((data[i : i + 1], PAUSE_S) for i in range(len(data))))


def _flood(start: bytes, piece: bytes) -> Attack:
    return Attack(lambda rng: ((data, 0.0) for data in [start, *[piece] * (FLOOD_BYTES // len(piece))]))


def _now_and_then(start: bytes, piece: bytes) -> Attack:
    return Attack(lambda rng: ((data, 1.0) for data in [start, *[piece] * 60]))


def _cut(rng: random.Random) -> Iterator[tuple[bytes, float]]:
    yield GOOD[: rng.randrange(1, len(GOOD))], rng.choice([0, 0.01, 0.1])


def _mutated(rng: random.Random) -> Iterator[tuple[bytes, float]]:
    yield damaged(rng.choice(list(WHOLE.values()) + [GOOD])[:200_000], rng), 0.0


def _noise(rng: random.Random) -> Iterator[tuple[bytes, float]]:
    yield rng.randbytes(rng.randrange(1, 5000)), 0.0


ATTACKS: dict[str, Attack] = {
    **{name: whole(data) for name, data in WHOLE.items()},
    "headers by the byte": _slowly(GOOD),
    "a header line now and then": _now_and_then(b"GET / HTTP/1.1\r\n", b"A: b\r\n"),
    "line ends now and then": _now_and_then(CRLF, CRLF),
    "nothing at all": Attack(lambda rng: iter(())),
    "body by the byte": _now_and_then(request(b"abc", b"Content-Length: 90"), b"d"),
    "endless headers": _flood(b"GET / HTTP/1.1\r\n", b"A: b\r\n" * 3000),
    "an endless header": _flood(b"GET / HTTP/1.1\r\nA: ", b"b" * 20_000),
    "an endless target": _flood(b"GET /", b"b" * 20_000),
    "an endless body": _flood(request(b"", b"Transfer-Encoding: chunked"), b"4E20\r\n" + b"b" * 20_000 + CRLF),
    "answers that nobody reads": Attack(lambda rng: iter([(get(b"/openapi.json") * 50, 2.0)]), leaves=True),
    "an early end": Attack(_cut, leaves=True),
    "an end before the answer": Attack(lambda rng: iter([(GOOD, rng.choice([0, 0.01]))]), leaves=True),
    "mutated": Attack(_mutated),
    "noise": Attack(_noise),
}  # fmt: skip
