"""What every route has in common, whatever it does."""

import base64
import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.test_metrics import samples

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
JSON = {"Content-Type": "application/json"}
BAD: dict[str, dict[str, Any]] = {
    "another method": {"method": "PATCH"},
    "a priority that there is not": {"headers": {"X-Priority": "never"}},
    "a body over the limit": {"headers": {"Content-Length": "300001"}},
    "broken JSON": {"content": b'{"a": ', "headers": JSON},
    "JSON of another shape": {"content": b'[{"ready": "perhaps"}]', "headers": JSON},
    "a path below": {"suffix": "/no/such/thing"},
}


def routes(client: TestClient) -> Iterator[tuple[str, str]]:
    """Method and path of everything that this server answers, with a name in place of each parameter."""
    for route in client.app.routes:  # type: ignore[attr-defined]
        path = route.path.replace("{name:path}", "tiny").replace("{name}", "app.js").replace("{version}", "none")
        yield next(method for method in METHODS if method in route.methods), path


def check_refusal(path: str, response: Any) -> None:
    """In the shape of the protocol that the path belongs to."""
    body, kind = response.json(), response.headers["Content-Type"]
    if path.startswith("/v2"):
        assert (kind, body.keys()) == ("application/json", {"error"}), path
        assert isinstance(body["error"], str)
    elif path.startswith("/v1") and not path.startswith("/v1/timeseries"):
        assert (kind, body.keys()) == ("application/json", {"error"}), path
        assert {"message", "type", "code"} <= body["error"].keys()
    else:
        assert kind == "application/problem+json", path
        assert body["status"] == response.status_code
        assert {"type", "title", "detail", "code", "request_id"} <= body.keys()


@pytest.mark.parametrize("case", BAD)
def test_every_refusal_has_the_shape_of_its_protocol(client: TestClient, case: str) -> None:
    request, refused = BAD[case], 0
    for method, path in routes(client):
        target = f"{path.rstrip('/')}{request.get('suffix', '')}" or "/"
        response = client.request(
            request.get("method", method), target, content=request.get("content"), headers=request.get("headers")
        )
        assert response.status_code < 500, f"{method} {target}: {response.text}"
        if response.status_code >= 400:
            refused += 1
            check_refusal(target, response)
    assert refused > 10


@pytest.mark.parametrize("path", ["/nowhere", "/v1/nowhere", "/v1/chat/completions", "/v2/nowhere"])
def test_what_is_not_there_is_named_beside_where_to_look(client: TestClient, path: str) -> None:
    response = client.post(path)
    assert response.status_code == 404
    check_refusal(path, response)
    assert f"no endpoint at '{path}': GET /docs lists them all" in response.text


def test_a_wrong_method_is_answered_with_the_right_one(client: TestClient) -> None:
    response = client.get("/classify/image")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert response.json()["detail"].startswith("'/classify/image' does not support GET: use POST")


@pytest.mark.parametrize(("content", "status"), [(b"{", 400), (b'{"ready": "perhaps"}', 422), (b"[]", 422)])
def test_a_request_that_fastapi_refuses_says_why(client: TestClient, content: bytes, status: int) -> None:
    response = client.post("/v2/repository/index", content=content, headers=JSON)
    assert (response.status_code, response.json().keys()) == (status, {"error"})
    assert "body" in response.json()["error"]


def test_get_is_answered_to_head_as_well_without_the_body(client: TestClient, address: str) -> None:
    """Over a socket, since it is the server that leaves out the body."""
    for path in ("/", "/health/live", "/health/ready", "/v2/health/ready", "/models", "/models/tiny", "/limits"):
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
        connection.request("HEAD", path)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b""), path
        assert int(response.headers["Content-Length"]) > 0
        connection.close()
    assert client.head("/classify/image").status_code == 405
    assert client.head("/models/nobody").status_code == 404


def count(client: TestClient, task: str, status: str) -> float:
    return samples(client.get("/metrics").text).get(("unireplknet_requests_total", (status, task)), 0)


@pytest.mark.parametrize(
    ("method", "path", "task", "status"),
    [
        ("GET", "/v2/models/tiny/config", "v2/models/{name:path}/config", "200"),
        ("GET", "/v2/models/tiny/versions/1", "v2/models/{name:path}/versions/{version}", "404"),
        ("GET", "/v2/models/tiny", "v2/models/{name:path}", "200"),
        ("GET", "/models/tiny", "models/{name:path}", "200"),
        ("HEAD", "/models/tiny", "models/{name:path}", "200"),
    ],
)
def test_requests_are_counted_by_their_whole_path(
    client: TestClient, method: str, path: str, task: str, status: str
) -> None:
    before = count(client, task, status)
    client.request(method, path)
    assert count(client, task, status) == before + 1


@pytest.mark.parametrize("path", ["/classify/image", "/v2/models/tiny/infer", "/v1/embeddings"])
def test_a_file_in_long_base64_that_breaks_off_is_refused(client: TestClient, path: str) -> None:
    """In the middle, beyond what is parsed as it comes."""
    text = base64.b64encode(bytes(150_000)).decode()
    broken = f"{text[:100_000]}=={text[100_000:]}"
    bodies = {
        "/classify/image": {"inputs": broken},
        "/v2/models/tiny/infer": {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [broken]}]},
        "/v1/embeddings": {"model": "tiny", "input": [broken]},
    }
    response = client.post(path, content=json.dumps(bodies[path]), headers=JSON)
    assert response.status_code == 400
    assert "input 0 is not base64" in response.text
