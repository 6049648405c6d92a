"""The deployment files, read as their programs read them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from service.admission import Admission, Bounds
from service.metrics import Metrics
from service.open_requests import OpenRequests
from tests.service.fake_engine import FakeEngine

DOCKER = Path(__file__).resolve().parents[2] / "docker"
STACKS = (
    ("compose.yaml",),
    ("compose.yaml", "compose.gpu.yaml"),
    ("compose.yaml", "compose.scale.yaml"),
    ("compose.yaml", "compose.scale.yaml", "compose.scale.gpu.yaml"),
)


class ComposeLoader(yaml.SafeLoader):
    """Knows compose's own tags, `!reset` and `!override`, which say how files are merged."""

    def listed(self, node: yaml.Node) -> list[Any]:
        assert isinstance(node, yaml.SequenceNode)
        return self.construct_sequence(node, deep=True)


ComposeLoader.add_constructor("!reset", lambda loader, node: None)
ComposeLoader.add_constructor("!override", ComposeLoader.listed)


def read_compose(name: str) -> dict[str, Any]:
    return dict(yaml.load((DOCKER / name).read_text(), ComposeLoader))


def read_manifest(path: str) -> dict[str, Any]:
    return dict(yaml.safe_load((DOCKER / "kubernetes" / path).read_text()))


def told_series() -> dict[str, set[str]]:
    """Every series of a server that has been busy, with the names of its labels."""
    metrics, engine = Metrics(), FakeEngine()
    engine.memory = {"resident": 1.0}
    model: Any = SimpleNamespace(name="m", version="v", path="classify/image")
    metrics.watch(Admission(Bounds(8)), OpenRequests(), engine, lambda: [model])
    metrics.answered("classify/image", 429, 0.1, "overloaded")
    metrics.perceived("m", 0.1, 0.1)
    metrics.batch("m", 1, 0.1)
    return {sample.name: set(sample.labels) for family in metrics.registry.collect() for sample in family.samples}


@pytest.fixture(scope="session")
def server() -> dict[str, Any]:
    """The server's part of compose.yaml."""
    return dict(read_compose("compose.yaml")["services"]["perception"])
