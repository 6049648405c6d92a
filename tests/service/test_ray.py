"""The application on Ray Serve: what is asked of Ray, and a replica in a real cluster where Ray is installed."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("ray.serve", reason="the extra `ray` is not installed")

import yaml
from ray.serve.schema import ServeDeploySchema

from service.ray import app, deployment, fitted, share
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_a_replica_takes_a_gpu_where_models_compute_on_one() -> None:
    assert share(Settings(device="cuda")) == {"num_cpus": 1, "num_gpus": 1.0}
    assert share(Settings(device="cuda:1", threads=4)) == {"num_cpus": 4, "num_gpus": 1.0}
    assert share(Settings(device="cpu")) == {"num_cpus": 1, "num_gpus": 0.0}
    assert share(Settings(device="auto"))["num_gpus"] == float(torch.cuda.is_available())


@pytest.mark.parametrize(
    ("device", "granted", "expected"),
    [
        ("auto", {"CPU": 2.0, "GPU": 1.0}, "cuda"),
        ("auto", {"CPU": 2.0, "GPU": 0.5}, "cuda"),
        ("auto", {"CPU": 2.0}, "cpu"),
        ("cuda:3", {"GPU": 1.0}, "cuda"),
        ("cpu", {"CPU": 1.0}, "cpu"),
    ],
)
def test_a_replica_computes_on_what_it_was_granted(device: str, granted: dict[str, float], expected: str) -> None:
    assert fitted(Settings(device=device), granted).device == expected


def test_a_replica_keeps_to_its_share_of_the_cores_unless_it_is_told_otherwise() -> None:
    chosen = fitted(Settings(device="cpu"), {"CPU": 3.0})
    assert (chosen.threads, chosen.decode_workers) == (3, 3)
    told = fitted(Settings(device="cpu", threads=1, decode_workers=5), {"CPU": 3.0})
    assert (told.threads, told.decode_workers) == (1, 5)
    assert fitted(Settings(device="cpu"), {"CPU": 0.5}).threads == 1


def test_replicas_refuse_before_ray_does() -> None:
    options = deployment(Settings(max_queue=100, max_batch_size=8, drain_timeout_s=5))
    assert options.max_ongoing_requests > 100
    assert options.backpressure_config.status_code == 429
    assert options.backpressure_config.retry_after_s
    assert options._deployment_config.autoscaling_config.target_ongoing_requests == 16
    assert options._deployment_config.graceful_shutdown_timeout_s > 5


def test_the_configuration_file_is_valid_and_names_what_there_is() -> None:
    config = ServeDeploySchema.model_validate(yaml.safe_load((ROOT / "docker" / "ray.yaml").read_text()))
    (application,) = config.applications
    assert application.import_path == f"{app.__module__}:{app.__name__}"
    settings = Settings.model_validate(application.args)
    (overridden,) = application.deployments
    assert overridden.name == deployment(settings).name


@contextmanager
def cluster(checkpoint: Path, port: int) -> Iterator[None]:
    """A node of this machine with one replica, which ends with this block."""
    program = f"""
import sys, ray
from ray import serve
from service.ray import app
from service.settings import Settings
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
serve.start(http_options={{"port": {port}}})
serve.run(app(Settings(checkpoints=({str(checkpoint)!r},), device="cpu", drain_timeout_s=1)))
print("serving", flush=True)
sys.stdin.read()
serve.shutdown()
ray.shutdown()
"""
    layers = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "service.ray_proxy:layers", "RAY_USAGE_STATS_ENABLED": "0"}
    environment = {**os.environ, **layers, "RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT)}
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, cwd=ROOT, text=True, **pipes) as process:
        assert process.stdout is not None
        said: list[str] = []
        try:
            while "serving\n" not in said:
                said.append(process.stdout.readline())
                if not said[-1]:
                    pytest.skip(f"Ray does not start on this machine: {''.join(said)[-300:]}")
            yield
        finally:
            process.communicate(timeout=120)


def test_a_cluster_answers_as_the_server_does(tiny_checkpoint: Path, tmp_path: Path) -> None:
    port = 18765
    with cluster(tiny_checkpoint, port):
        status, body, headers = asked(port, "/classify/image", (ROOT / "examples" / "t-shirt.jpg").read_bytes())
        assert status == 200
        assert len(body["predictions"]) == 5
        assert headers.get_all("x-request-id") == [body["id"]]
        status, body, _ = asked(port, "/classify/image", b"no picture")
        assert (status, body["code"]) == (415, "unsupported_media_type")
        status, body, _ = asked(port, "/nowhere")
        assert (status, body["code"]) == (404, "not_found")


def asked(port: int, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any], Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "image/jpeg"})
    try:
        with urllib.request.urlopen(request, timeout=100) as reply:
            return reply.status, json.loads(reply.read()), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()), error.headers
