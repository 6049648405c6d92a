"""The proof by an engine, where there is none."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.docker.conftest import DOCKER

SCRIPT = DOCKER / "verify.py"


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "verify", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_it_says_that_it_needs_an_engine(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, SCRIPT], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout.startswith("No Docker engine with the compose plugin answers")


def test_it_sends_the_requests_of_the_readme(verify: ModuleType) -> None:
    lines = verify.readme_lines()
    assert {line.split("8000/")[1].split("?")[0] for line in lines} >= {
        "classify/image",
        "classify/audio",
        "classify/video",
        "classify/pointcloud",
        "forecast/weather",
    }


def test_the_first_failure_ends_it_and_is_told(verify: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    def it_stands(stack: object) -> str:
        return "upright"

    def it_falls(stack: object) -> str:
        raise verify.Failed("over")

    def log(*command: str) -> str:
        return "the log"

    assert not verify.run(log, [it_stands, it_falls, it_stands])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("PASS it stands: upright")
    assert lines[1:] == ["FAIL it falls: over", "the log"]
