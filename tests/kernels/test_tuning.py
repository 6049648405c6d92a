"""Configurations: looked up at any time, measured only when asked to, and kept."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kernels.tuned import TUNED
from tests.kernels.problems import needs_triton

pytestmark = needs_triton

CPU = torch.device("cpu")
DEFAULT, BETTER = {"ROWS": 4}, {"ROWS": 8}
CASE = ("sliding", torch.float16, 1, 2)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from kernels import tuning

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tuning.configurations.cache_clear()
    return tmp_path


def rows_first(call: Callable[[], object]) -> float:
    """Pretends that the most rows are the fastest."""
    rows = call()
    assert isinstance(rows, int)
    return -rows


def choice() -> dict[str, int]:
    from kernels.tuning import launch_config

    return launch_config(CASE, CPU, [DEFAULT, BETTER], lambda config: config["ROWS"])


def test_unknown_cases_run_with_the_default_and_measure_nothing(home: Path) -> None:
    assert choice() == DEFAULT
    assert not list(home.iterdir())


def test_measured_cases_are_kept_for_the_next_process(home: Path) -> None:
    from kernels import tuning

    with tuning.tuned(rows_first):
        assert choice() == BETTER
    assert choice() == BETTER
    tuning.configurations.cache_clear()
    assert choice() == BETTER
    (path,) = home.rglob("*.json")
    assert json.loads(path.read_text()) == {"sliding torch.float16 1 2": BETTER}


def test_known_cases_are_not_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from kernels import tuning

    monkeypatch.setitem(TUNED, "cpu", {"sliding torch.float16 1 2": {"ROWS": 2}})
    with tuning.tuned(rows_first):
        assert choice() == {"ROWS": 2}


@pytest.mark.parametrize("content", ["", "[1]", "nonsense"])
def test_an_unreadable_cache_counts_as_empty(content: str) -> None:
    from kernels import tuning

    path = tuning.cache_path("cpu")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert choice() == DEFAULT


def test_a_home_that_cannot_be_written_costs_only_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kernels import tuning

    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    with tuning.tuned(rows_first):
        assert choice() == BETTER
