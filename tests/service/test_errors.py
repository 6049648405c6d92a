import base64
import socket
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service import errors
from service.admission import Overloaded
from service.middleware import RequestIds
from tests.service.conftest import encoded, picture

PNG = encoded(picture())
B64 = base64.b64encode(PNG).decode()
JSON = {"Content-Type": "application/json"}

BAD_REQUESTS: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "empty body": ({"content": b""}, 400, "malformed_request", "no file in the request, its body has 0 bytes"),
    "empty file": ({"files": {"file": ("a.png", b"")}}, 422, "undecodable_input", "image file is empty (0 bytes)"),
    "no file part": ({"files": {"file": ("", b"")}, "data": {"top_k": "1"}}, 400, "malformed_request", "no file"),
    "broken json": ({"content": b"{", "headers": JSON}, 400, "malformed_request", "the body is not JSON"),
    "json array": ({"json": [1]}, 400, "malformed_request", "must be an object"),
    "no inputs": ({"json": {"data": B64}}, 400, "malformed_request", "must be an object"),
    "empty inputs": ({"json": {"inputs": []}}, 400, "malformed_request", "no file"),
    "number as input": ({"json": {"inputs": [B64, 7]}}, 400, "malformed_request", "input 1 is a int"),
    "not base64": ({"json": {"inputs": "***"}}, 400, "malformed_request", "input 0 is not base64"),
    "plain data uri": ({"json": {"inputs": "data:text/plain,hi"}}, 400, "malformed_request", "not base64"),
    "url": ({"json": {"inputs": "http://a.example/b.png"}}, 400, "malformed_request", "does not fetch"),
    "parameters a list": ({"json": {"inputs": B64, "parameters": [1]}}, 400, "malformed_request", "expected an object"),
    "multipart without boundary": (
        {"content": PNG, "headers": {"Content-Type": "multipart/form-data"}}, 400, "malformed_request", "boundary",
    ),
    "unknown option": ({"content": PNG, "params": {"topk": 3}}, 422, "invalid_parameter", "topk"),
    "negative top_k": ({"content": PNG, "params": {"top_k": -1}}, 422, "invalid_parameter", "top_k"),
    "top_k no number": ({"content": PNG, "params": {"top_k": "many"}}, 422, "invalid_parameter", "top_k"),
    "unknown function": ({"content": PNG, "params": {"function_to_apply": "x"}}, 422, "invalid_parameter", "softmax"),
    "unknown model": ({"content": PNG, "params": {"model": "huge"}}, 404, "model_not_found", "available: tiny"),
    "text": ({"content": b"hello, this is no picture"}, 415, "unsupported_media_type", ""),
    "pdf": ({"content": b"%PDF-1.7 and more of it"}, 415, "unsupported_media_type", ""),
    "truncated png": ({"content": PNG[: len(PNG) // 2]}, 422, "undecodable_input", ""),
    "second of two is bad": (
        {"files": [("file", PNG), ("file", PNG[:60])]}, 422, "undecodable_input", "input 1: ",
    ),
    "too many files": ({"files": [("file", PNG)] * 5}, 413, "too_many_items", "5 files in one request, the limit is 4"),
    "declared too large": ({"content": bytes(300_001)}, 413, "body_too_large", "the limit is 300000"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_bad_requests_are_refused_with_a_reason(client: TestClient, name: str) -> None:
    request, status, code, detail = BAD_REQUESTS[name]
    response = client.post("/classify/image", **request)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code), problem
    assert detail in problem["detail"]
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["X-Request-Id"]


def test_a_body_that_grows_beyond_the_limit_is_cut_off_while_it_is_read(client: TestClient) -> None:
    response = client.post("/classify/image", content=iter([bytes(100_000)] * 4))
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


def test_a_refusal_for_the_media_type_says_what_is_accepted(client: TestClient) -> None:
    response = client.post("/classify/image", content=b"plain text, nothing to see")
    assert "image/jpeg" in response.headers["Accept"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/classify/image", 405), ("POST", "/nowhere", 404)])
def test_the_router_answers_in_the_same_form(client: TestClient, method: str, path: str, status: int) -> None:
    response = client.request(method, path)
    assert (response.status_code, response.json()["status"]) == (status, status)
    assert response.headers["Content-Type"] == "application/problem+json"


def test_unprintable_request_ids_are_replaced(client: TestClient) -> None:
    response = client.get("/health/live", headers={"X-Request-Id": "a b"})
    assert response.headers["X-Request-Id"].isalnum()


def raising(error: Exception) -> TestClient:
    app = FastAPI()
    errors.install(app)
    app.add_middleware(errors.Faults)
    app.add_middleware(RequestIds)

    @app.get("/")
    def fail() -> None:
        raise error

    return TestClient(app)


def test_a_fault_of_our_own_is_500_without_its_secrets() -> None:
    response = raising(RuntimeError("password=hunter2")).get("/")
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert "hunter2" not in response.text


def test_overload_is_429_and_says_when_to_come_back() -> None:
    response = raising(Overloaded(256, 256, 2.3)).get("/")
    assert (response.status_code, response.headers["Retry-After"]) == (429, "3")


def test_a_client_that_leaves_is_no_error_of_the_server() -> None:
    from starlette.requests import ClientDisconnect

    assert raising(ClientDisconnect()).get("/").status_code == errors.CLIENT_CLOSED_REQUEST


def test_no_address_is_contacted_for_a_url_input(client: TestClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.png"
        assert client.post("/classify/image", json={"inputs": url}).status_code == 400
        with pytest.raises(TimeoutError):
            listener.accept()
