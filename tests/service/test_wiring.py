"""The layers and routes of the application, put together."""

import asyncio
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from service.settings import Settings
from tests.service.conftest import encoded, picture, wait_until_ready

PNG = encoded(picture())


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """By name and the values of the labels, in the order of their names."""
    families = text_string_to_metric_families(text)
    return {(item.name, tuple(item.labels.values())): item.value for family in families for item in family.samples}


def test_a_server_tells_of_the_requests_that_it_answered(tiny_checkpoint: Path) -> None:
    settings = Settings(checkpoints=(tiny_checkpoint,), device="cpu", decode_workers=1, max_queue=8)
    with TestClient(create_app(settings)) as client:
        wait_until_ready(client)
        for _ in range(3):
            assert client.post("/classify/image", content=PNG).status_code == 200
        client.post("/classify/image", content=b"no picture")
        client.get("/made-up/path")
        response = client.get("/metrics")
        found = samples(response.text)
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    assert found["unireplknet_requests_total", ("200", "classify/image")] == 3
    assert found["unireplknet_requests_total", ("415", "classify/image")] == 1
    assert found["unireplknet_requests_total", ("404", "other")] == 1
    assert found["unireplknet_rejections_total", ("unsupported_media_type",)] == 1
    assert found["unireplknet_forward_seconds_count", ("tiny",)] == 3
    assert found["unireplknet_waiting_items", ()] == 0
    assert [labels[0] for name, labels in found if name == "unireplknet_model_info"] == ["tiny"]


def test_a_server_that_cannot_keep_up_sheds_and_loses_nothing(tiny_checkpoint: Path) -> None:
    settings = Settings(checkpoints=(tiny_checkpoint,), device="cpu", decode_workers=1, max_queue=3)
    app = create_app(settings)
    with TestClient(app) as client:
        wait_until_ready(client)

        async def crowd() -> list[int]:
            return await asyncio.gather(*(asyncio.to_thread(post) for _ in range(24)))

        def post() -> int:
            return client.post("/classify/image", content=PNG).status_code

        statuses = asyncio.run(crowd())
        admission = app.state.runtime.admission
        assert set(statuses) == {200, 429}
        assert admission.load.items == 0
        assert admission.load.bytes == 0
        assert admission.predicted_wait_s() == pytest.approx(0, abs=1e-9)
        assert post() == 200


def test_deadline_priority_and_key_are_read_on_every_task(tiny_checkpoint: Path) -> None:
    settings = Settings(checkpoints=(tiny_checkpoint,), device="cpu", decode_workers=1, api_keys="alpha")
    key = {"Authorization": "Bearer alpha"}
    with TestClient(create_app(settings)) as client:
        wait_until_ready(client)
        assert client.post("/classify/image", content=PNG).status_code == 401
        assert client.post("/classify/image", content=PNG, headers=key).status_code == 200
        assert client.post("/embed/image", content=PNG, headers={**key, "X-Priority": "bulk"}).status_code == 200
        late = client.post("/classify/image", content=PNG, headers={**key, "X-Request-Timeout-Ms": "1"})
        assert late.json()["code"] in ("deadline_exceeded", "overloaded")
        wrong = client.post("/classify/image", content=PNG, headers={**key, "X-Request-Timeout-Ms": "soon"})
        assert wrong.status_code == 400
