"""CPU time per request of the service itself, with a null model and 100 KB bodies, against the least that FastAPI does.

    python -m benchmarks.bench_service [requests]

CPU time is that of the server and its decode workers together, by the operating system's accounts; the client's own is
not in it. Rows are appended to benchmarks/results/service.csv.
"""

import http.client
import os
import sys

import psutil

from benchmarks.recording import append_rows, machine
from benchmarks.running_server import running
from service.settings import MEGABYTE

BODY_BYTES = MEGABYTE // 10
PORT = 8765
WARM_UP = 50
BOUNDARY = "b0undary"


def cpu_seconds(process: psutil.Process) -> tuple[float, float]:
    """Of the server's process, and of its decode workers."""
    own, *others = (sum(p.cpu_times()[:2]) for p in (process, *process.children(recursive=True)))
    return own, sum(others)


def multipart() -> tuple[bytes, str]:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    body = head.encode() + os.urandom(BODY_BYTES) + f"\r\n--{BOUNDARY}--\r\n".encode()
    return body, f"multipart/form-data; boundary={BOUNDARY}"


def raw() -> tuple[bytes, str]:
    return os.urandom(BODY_BYTES), "application/octet-stream"


def cpu_ms_per_request(kind: str, body: bytes, content_type: str, requests: int) -> tuple[float, float]:
    with running("benchmarks.null_server", [kind, str(PORT)], PORT) as process:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        for number in range(WARM_UP + requests):
            if number == WARM_UP:
                before = cpu_seconds(process)
            connection.request("POST", "/classify/image", body, {"Content-Type": content_type})
            response = connection.getresponse()
            answer = response.read()
            assert response.status == http.client.OK, answer
        own, others = (1e3 * (now - then) / requests for now, then in zip(cpu_seconds(process), before, strict=True))
        return own, others


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    cases = [("plain FastAPI, multipart", "plain", multipart()), ("ours, multipart", "ours", multipart())]
    cases.append(("ours, raw body", "ours", raw()))
    figures = {name: cpu_ms_per_request(kind, *request, requests) for name, kind, request in cases}
    baseline = sum(figures["plain FastAPI, multipart"])
    rows = [
        {
            "case": name,
            "requests": requests,
            "server_cpu_ms": round(own, 3),
            "decode_worker_cpu_ms": round(others, 3),
            "ratio": round((own + others) / baseline, 2),
        }
        for name, (own, others) in figures.items()
    ]
    append_rows("service.csv", [{**machine("cpu"), **row} for row in rows])


if __name__ == "__main__":
    main()
