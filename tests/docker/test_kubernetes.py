"""The manifests against Kubernetes' own schemas, and against what the server does."""

from typing import Any

import kubernetes_validate
import pytest

from service.app import create_app
from service.settings import Settings
from tests.docker.conftest import DOCKER, read_manifest, told_series

VERSION = "1.33"
MANIFESTS = sorted(path.relative_to(DOCKER / "kubernetes").as_posix() for path in DOCKER.glob("kubernetes/base/*.yaml"))
PREDICTOR = "kserve/inference-service.yaml"
CLOSING_S = 10
# Members of a predictor that are not a pod's: ComponentExtensionSpec of serving.kserve.io/v1beta1, those in use here
PREDICTOR_ONLY = {"minReplicas": int, "timeout": int}


def pods() -> dict[str, dict[str, Any]]:
    predictor = read_manifest(PREDICTOR)["spec"]["predictor"]
    return {
        "deployment": read_manifest("base/deployment.yaml")["spec"]["template"]["spec"],
        "predictor": {name: value for name, value in predictor.items() if name not in PREDICTOR_ONLY},
    }


def environment(pod: dict[str, Any]) -> dict[str, str]:
    container = pod["containers"][0]
    return {item["name"].removeprefix("UNIREPLKNET_").lower(): item["value"] for item in container["env"]}


@pytest.mark.parametrize("path", [path for path in MANIFESTS if "kustomization" not in path])
def test_manifests_follow_the_schemas_of_kubernetes(path: str) -> None:
    kubernetes_validate.validate(read_manifest(path), VERSION, strict=True)


def test_the_predictor_is_a_pod_with_members_of_kserve() -> None:
    service = read_manifest(PREDICTOR)
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    predictor = service["spec"]["predictor"]
    assert all(isinstance(predictor[name], kind) for name, kind in PREDICTOR_ONLY.items())
    pod = pods()["predictor"]
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod}
    kubernetes_validate.validate(manifest, VERSION, strict=True)
    assert [container["name"] for container in pod["containers"]] == ["kserve-container"]


def test_kustomizations_name_every_manifest() -> None:
    listed = read_manifest("base/kustomization.yaml")["resources"]
    assert sorted(f"base/{name}" for name in [*listed, "kustomization.yaml"]) == MANIFESTS
    assert read_manifest("gpu/kustomization.yaml")["resources"] == ["../base"]


@pytest.mark.parametrize("name", ["deployment", "predictor"])
def test_pods_have_time_to_drain_and_settings_that_the_server_knows(name: str) -> None:
    pod = pods()[name]
    settings = Settings.model_validate(environment(pod))
    needed_s = settings.drain_notice_s + settings.drain_timeout_s + CLOSING_S
    assert settings.drain_notice_s > 0
    assert needed_s <= pod["terminationGracePeriodSeconds"]


@pytest.fixture(scope="module")
def paths() -> set[str]:
    app = create_app(Settings(decode_workers=1))
    return set(app.openapi()["paths"])


@pytest.mark.parametrize("name", ["deployment", "predictor"])
def test_probes_ask_what_the_server_answers(name: str, paths: set[str]) -> None:
    (container,) = pods()[name]["containers"]
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    assert [probe["path"] for probe in probes] == ["/health/ready", "/health/ready", "/health/live"]
    assert all(probe["path"] in paths for probe in probes)
    assert {port["containerPort"] for port in container["ports"]} == {8000}
    assert {probe["port"] for probe in probes} <= {8000, "http"}


@pytest.mark.parametrize("name", ["deployment", "predictor"])
def test_pods_are_confined(name: str) -> None:
    pod = pods()[name]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/tmp"}


def test_the_autoscaler_reads_a_gauge_of_the_server() -> None:
    (metric,) = read_manifest("base/autoscaler.yaml")["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] in told_series()
