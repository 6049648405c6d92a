"""What the compose files promise, as far as it can be told without an engine; docker/verify.py tells the rest."""

import re
import shutil
import subprocess
from typing import Any

import pytest

from service.settings import Settings
from tests.docker.conftest import DOCKER, STACKS, read_compose

PREFIX = "UNIREPLKNET_"
CLOSING_S = 10  # what a server may take to close once all is answered


def variables(service: dict[str, Any]) -> dict[str, str]:
    """The server's own, by the names of its settings."""
    given = service.get("environment", {}).items()
    return {name.removeprefix(PREFIX).lower(): value for name, value in given if name.startswith(PREFIX)}


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def size(text: str) -> int:
    """Bytes of docker's 512m or 4g."""
    return int(text[:-1]) << {"m": 20, "g": 30}[text[-1]]


def has_compose() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0


@pytest.mark.parametrize("files", STACKS, ids="+".join)
def test_compose_accepts_the_files(files: tuple[str, ...]) -> None:
    if not has_compose():
        pytest.skip("needs docker with the compose plugin")
    named = [word for name in files for word in ("-f", str(DOCKER / name))]
    command = ["docker", "compose", *named, "--profile", "*", "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_variable_is_a_setting_that_the_server_accepts(server: dict[str, Any]) -> None:
    given = {name: value for name, value in variables(server).items() if value is not None}
    assert set(variables(server)) <= set(Settings.model_fields)
    Settings.model_validate({name: str(value) for name, value in given.items()})


@pytest.mark.parametrize("name", ["compose.yaml", "compose.scale.yaml"])
def test_the_grace_period_outlasts_notice_and_drain(server: dict[str, Any], name: str) -> None:
    grace_s = seconds(server["stop_grace_period"])
    for service in ("perception", "perception-2"):
        overlay = variables(read_compose(name)["services"].get(service, {}))
        settings = Settings(
            drain_notice_s=float(overlay.get("drain_notice_s", 0)),
            drain_timeout_s=float(variables(server)["drain_timeout_s"]),
        )
        assert settings.drain_notice_s + settings.drain_timeout_s + CLOSING_S <= grace_s


def test_uploads_fit_where_they_are_put_and_all_of_it_into_memory(server: dict[str, Any]) -> None:
    given = variables(server)
    (mounted,) = re.findall(r"^/tmp:.*size=(\w+)", server["tmpfs"][0])
    admitted, decoding = int(given["max_queue_bytes"]), int(given["decode_memory_bytes"])
    assert admitted <= size(mounted)
    (memory,) = re.findall(r":-(\w+)}", server["mem_limit"])
    assert 2 * admitted + 2 * decoding < size(memory)


def test_the_server_is_confined(server: dict[str, Any]) -> None:
    assert server["read_only"] is True
    assert server["cap_drop"] == ["ALL"]
    assert server["security_opt"] == ["no-new-privileges:true"]
    assert server["user"] == "10001:10001"
    assert all(port.startswith("${PUBLISH:-127.0.0.1:8000}") for port in server["ports"])


def test_the_proxy_asks_often_enough_to_see_a_replica_leave() -> None:
    text = (DOCKER / "proxy" / "haproxy.cfg").read_text()
    ((interval_ms, fall),) = re.findall(r"check inter (\d+)ms fall (\d+) ", text)
    for service in ("perception", "perception-2"):
        notice_s = variables(read_compose("compose.scale.yaml")["services"][service])["drain_notice_s"]
        assert int(interval_ms) / 1e3 * int(fall) * 3 <= float(notice_s)
    assert "option httpchk GET /health/ready" in text
    assert "balance leastconn" in text
    assert "retry-on conn-failure\n" in text  # and nothing that a replica has answered


def test_every_gpu_overlay_asks_for_one_device_a_replica() -> None:
    single = read_compose("compose.gpu.yaml")["services"]["perception"]
    scaled = read_compose("compose.scale.gpu.yaml")["services"]["perception-2"]
    asked = [service["deploy"]["resources"]["reservations"]["devices"] for service in (single, scaled)]
    assert asked == [[{"driver": "nvidia", "device_ids": [number], "capabilities": ["gpu"]}] for number in ("0", "1")]
