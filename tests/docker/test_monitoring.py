"""Alerts and dashboard ask for what the server tells."""

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.docker.conftest import DOCKER, read_compose, told_series

MONITORING = DOCKER / "monitoring"
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "grafana" / "dashboards" / "perception.json").read_text())
RULES = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"][0]["rules"]


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]] + [
        rule["expr"] for rule in RULES
    ]


@pytest.mark.parametrize("expression", expressions())
def test_expressions_name_series_and_labels_that_there_are(expression: str) -> None:
    series = told_series()
    names = set(re.findall(r"\b(?:unireplknet|process)_\w+", expression))
    assert names <= set(series) or names == set()
    known = set().union(*(series[name] for name in names)) | {"instance", "job"}
    used = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', expression))
    for listed in re.findall(r"(?:by|on) \(([\w, ]+)\)", expression):
        used |= set(listed.split(", "))
    assert used <= known


def test_the_dashboard_shows_everything_that_the_server_counts() -> None:
    shown = " ".join(expressions())
    own = {
        name
        for name in told_series()
        if name.startswith("unireplknet_") and not name.endswith(("_created", "_count", "_sum"))
    }
    assert [name for name in own if name.removesuffix("_bucket") not in shown] == []


def test_panels_have_names_places_and_the_provisioned_source() -> None:
    (source,) = yaml.safe_load((MONITORING / "grafana" / "datasources" / "prometheus.yaml").read_text())["datasources"]
    panels = DASHBOARD["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)


def test_prometheus_finds_the_replicas_by_the_name_that_compose_gives_them() -> None:
    (job,) = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())["scrape_configs"]
    (aliases,) = read_compose("compose.yaml")["services"]["perception"]["networks"].values()
    (discovery,) = job["dns_sd_configs"]
    assert discovery["names"] == aliases["aliases"]
    assert {rule["labels"]["severity"] for rule in RULES} == {"critical", "warning"}


def test_promtool_accepts_the_rules_and_their_tests() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool, which comes with Prometheus")
    for command in (["check", "config", "prometheus.yaml"], ["test", "rules", "alerts.test.yaml"]):
        subprocess.run([promtool, *command], cwd=MONITORING, check=True, capture_output=True)
