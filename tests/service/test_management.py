"""Models loaded and unloaded over HTTP, while the server serves."""

import asyncio
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message

from service.app import create_app
from service.settings import Settings
from tests.service.asgi import Client, Reply
from tests.service.conftest import encoded, picture, wait_until_ready
from tests.tiny import TINY, save_tiny

PNG = encoded(picture())
ADMIN = {"Authorization": "Bearer root"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(tiny_checkpoint, folder / "tiny.safetensors")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[TestClient]:
    settings = Settings(checkpoints=(folder,), device="cpu", decode_workers=1, admin_keys="root", max_batch_size=2)
    with TestClient(create_app(settings)) as client:
        wait_until_ready(client)
        yield client


def post(client: TestClient, path: str, **request: Any) -> Any:
    response = client.post(path, headers=ADMIN, **request)
    assert response.status_code == 200, response.text
    return response.json()


def names(client: TestClient) -> list[str]:
    return [model["name"] for model in client.get("/models").json()]


def test_a_further_model_is_loaded_answers_and_is_unloaded(server: TestClient, folder: Path) -> None:
    sounds = save_tiny("classify/audio", folder / "sounds.safetensors", "sounds")
    wav = TINY["classify/audio"].payload(0)
    assert server.post("/classify/audio", content=wav).status_code == 404
    loaded = post(server, "/models/sounds/load")
    assert (loaded["name"], loaded["task"], names(server)) == ("sounds", "classify/audio", ["tiny", "sounds"])
    answer = server.post("/classify/audio", content=wav)
    assert (answer.status_code, answer.json()["model_version"]) == (200, loaded["version"])
    assert post(server, "/models/sounds/unload") == {"name": "sounds"}
    assert names(server) == ["tiny"]
    assert server.post("/classify/audio", content=wav).json()["code"] == "model_not_found"
    sounds.unlink()


def test_a_reloaded_model_answers_by_its_new_weights(server: TestClient, folder: Path) -> None:
    before = server.post("/classify/image", content=PNG).json()
    save_tiny("classify/image", folder / "tiny.safetensors", "tiny", seed=7)
    assert server.post("/classify/image", content=PNG).json()["predictions"] == before["predictions"]
    post(server, "/models/tiny/load")
    after = server.post("/classify/image", content=PNG).json()
    assert after["model"] == before["model"] == "tiny"
    assert after["model_version"] != before["model_version"]
    assert after["predictions"] != before["predictions"]


def test_a_checkpoint_can_be_named(server: TestClient, folder: Path) -> None:
    save_tiny("classify/image", folder / "second.safetensors", "tiny", seed=8)
    ambiguous = server.post("/models/tiny/load", headers=ADMIN)
    assert (ambiguous.status_code, ambiguous.json()["code"]) == (422, "invalid_parameter")
    old = server.get("/models/tiny").json()["version"]
    assert post(server, "/models/tiny/load", params={"checkpoint": "second"})["version"] != old
    (folder / "second.safetensors").unlink()


def test_a_broken_file_is_refused_with_the_reason_and_what_was_served_still_is(
    server: TestClient, folder: Path
) -> None:
    broken = folder / "broken.safetensors"
    broken.write_bytes(b"no weights")
    response = server.post("/models/tiny/load", headers=ADMIN, params={"checkpoint": "broken"})
    broken.unlink()
    assert (response.status_code, response.json()["code"]) == (422, "model_not_loaded")
    assert "is not a checkpoint of this project" in response.json()["detail"]
    assert server.post("/classify/image", content=PNG).status_code == 200


@pytest.mark.parametrize(
    ("path", "checkpoint", "code"),
    [
        ("/models/nobody/unload", None, "model_not_found"),
        ("/models/nobody/load", None, "checkpoint_not_found"),
        ("/models/tiny/load", "../../etc/passwd", "checkpoint_not_found"),
    ],
)
def test_what_is_not_there_is_404(server: TestClient, path: str, checkpoint: str | None, code: str) -> None:
    params = {"checkpoint": checkpoint} if checkpoint else {}
    response = server.post(path, headers=ADMIN, params=params)
    assert (response.status_code, response.json()["code"]) == (404, code)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer guess"}, {"Authorization": "root"}])
@pytest.mark.parametrize("path", ["/models/tiny/load", "/models/tiny/unload"])
def test_only_administrators_may(server: TestClient, path: str, headers: dict[str, str]) -> None:
    response = server.post(path, headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert "send an admin key" in response.json()["detail"]
    assert "tiny" in names(server)


def test_without_admin_keys_nobody_may(client: TestClient) -> None:
    response = client.post("/models/tiny/unload", headers=ADMIN)
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert "start it with --admin-keys" in response.json()["detail"]


def test_the_protocols_repository_is_the_same(server: TestClient, folder: Path) -> None:
    for name in ("sounds", "fresh"):
        save_tiny("classify/audio", folder / f"{name}.safetensors", name)
    (folder / "broken.safetensors").write_bytes(b"no weights")

    def states(headers: dict[str, str] = ADMIN) -> dict[str, tuple[str, str]]:
        index = server.post("/v2/repository/index", headers=headers).json()
        return {entry["name"]: (entry["state"], entry["reason"]) for entry in index}

    ready, absent = ("READY", ""), ("UNAVAILABLE", "not loaded")
    assert states() == {"tiny": ready, "broken": absent, "fresh": absent, "sounds": absent}
    assert server.post("/v2/repository/models/sounds/load", headers=ADMIN, json={"parameters": {}}).status_code == 200
    refused = server.post("/v2/repository/models/broken/load", headers=ADMIN)
    assert (refused.status_code, refused.json().keys()) == (404, {"error"})
    named = server.post("/models/broken/load", headers=ADMIN, params={"checkpoint": "broken"})
    assert named.status_code == 422
    told = states()
    assert (told["sounds"], told["broken"][0]) == (ready, "UNAVAILABLE")
    assert "is not a checkpoint of this project" in told["broken"][1]
    assert states({})["broken"] == absent
    assert server.post("/v2/repository/models/sounds/unload", headers=ADMIN).status_code == 200
    assert states()["sounds"] == absent
    for name in ("sounds", "fresh", "broken"):
        (folder / f"{name}.safetensors").unlink()


def test_who_was_let_in_is_answered_by_the_version_that_was_there(
    server: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = server.app.state.runtime  # type: ignore[attr-defined]
    decode, decoding, gate = runtime.decoding.decode, threading.Event(), threading.Event()

    async def held(*args: Any) -> Any:
        if PNG in args:
            decoding.set()
            assert await asyncio.to_thread(gate.wait, 30)
        return await decode(*args)

    monkeypatch.setattr(runtime.decoding, "decode", held)
    old = server.get("/models/tiny").json()["version"]
    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(server.post, "/classify/image", content=PNG)
        assert decoding.wait(30)
        save_tiny("classify/image", folder / "tiny.safetensors", "tiny", seed=30)
        new = post(server, "/models/tiny/load")["version"]
        assert server.get("/models/tiny").json()["version"] == new != old
        gate.set()
        response = asking.result()
    assert (response.status_code, response.json()["model_version"]) == (200, old)
    assert server.post("/classify/image", content=PNG).json()["model_version"] == new


class ReloadingUpload(Client):
    """Replaces the model before the last chunk of its body."""

    def __init__(self, server: TestClient, body: bytes, **headers: str) -> None:
        super().__init__([body[:10], body[10:]], content_length=str(len(body)), **headers)
        self.server = server

    async def _receive(self) -> Message:
        if len(self._chunks) == 1:
            await asyncio.to_thread(post, self.server, "/models/tiny/load")
        return await super()._receive()


def upload(server: TestClient, path: str) -> Reply:
    """A request that names a version, during which another takes its place."""
    client = ReloadingUpload(server, PNG, inference_header_content_length="0")
    assert server.portal is not None
    return server.portal.call(client.ask, server.app, path)


def test_a_version_that_was_replaced_during_the_upload_is_not_answered_by_another(
    server: TestClient, folder: Path
) -> None:
    old = server.get("/models/tiny").json()["version"]
    save_tiny("classify/image", folder / "tiny.safetensors", "tiny", seed=40)
    reply = upload(server, f"/v2/models/tiny/versions/{old}/infer")
    new = server.get("/models/tiny").json()["version"]
    assert new != old
    assert reply.status == 404
    assert f"tiny has version {new}" in reply.problem["error"]
    assert upload(server, f"/v2/models/tiny/versions/{new}/infer").status == 200


def test_replacing_models_under_load_fails_nobody(server: TestClient, folder: Path) -> None:
    save_tiny("classify/image", folder / "other.safetensors", "other", seed=3)
    versions: set[str] = set()

    def ask() -> int:
        response = server.post("/classify/image", content=PNG, params={"model": "tiny"})
        versions.add(response.json().get("model_version", response.text))
        return response.status_code

    async def crowd() -> list[int]:
        asking = [asyncio.to_thread(ask) for _ in range(24)]

        async def change() -> None:
            for seed in (20, 21):
                await asyncio.to_thread(save_tiny, "classify/image", folder / "tiny.safetensors", "tiny", seed)
                await asyncio.to_thread(post, server, "/models/tiny/load")
                await asyncio.to_thread(post, server, "/models/other/load")
                await asyncio.to_thread(post, server, "/models/other/unload")

        changing = asyncio.create_task(change())
        statuses = await asyncio.gather(*asking)
        await changing
        return statuses

    assert set(asyncio.run(crowd())) == {200}
    ask()
    assert len(versions) >= 2
    assert names(server) == ["tiny"]
    runtime = server.app.state.runtime  # type: ignore[attr-defined]
    deadline = time.monotonic() + 30
    while not len(runtime.engine._pipelines) == len(runtime.scheduler.costs) == 1:  # the old ones are let go behind
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(runtime.engine.loaded.models) == 1
