"""Backends: chosen by measuring while a model warms up, by the table before, and never measured in a request."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from kernels import depthwise_conv2d, dispatch
from kernels.backends import BACKENDS
from kernels.dispatch import choose
from tests.kernels.problems import assert_convolved, needs_triton, problem

pytestmark = needs_triton

NAMES = ("channels_last", "sliding", "library")
CASE = "backend torch.float32 torch.channels_last 2 3 4 5 3"

Given = tuple[Tensor, Tensor, Tensor]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where findings are kept; nothing is known yet."""
    from kernels import tuning

    monkeypatch.setenv("UNIREPLKNET_CACHE_FOLDER", str(tmp_path))
    tuning.configurations.cache_clear()
    yield tmp_path
    tuning.configurations.cache_clear()


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    """A problem on a device that is tuned, and of which the table names three candidates."""
    x, weight, bias = problem(2, 3, 4, 5, 3)
    monkeypatch.setattr(dispatch, "MEASURED_DEVICES", (x.device.type,))
    monkeypatch.setattr(dispatch, "backends_for", lambda _: NAMES)
    return x.contiguous(memory_format=torch.channels_last), weight, bias


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the backends that ran."""
    names: list[str] = []
    for name in NAMES:
        monkeypatch.setitem(BACKENDS, name, replace(BACKENDS[name], run=noting(names, name)))
    return names


def noting(names: list[str], name: str) -> Callable[..., Tensor]:
    def run(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
        names.append(name)
        padding = dilation * (weight.shape[-1] // 2)
        return torch.nn.functional.conv2d(x, weight, bias, padding=padding, groups=x.shape[1])

    return run


def fastest(name: str, ran: list[str]) -> Callable[[Callable[[], object]], float]:
    def measure(call: Callable[[], object]) -> float:
        call()
        return 1.0 if ran[-1] == name else 2.0

    return measure


@pytest.mark.parametrize("name", NAMES)
def test_the_fastest_is_found_once_and_kept(name: str, folder: Path, given: Given, ran: list[str]) -> None:
    from kernels import tuning

    with torch.inference_mode(), tuning.tuned(fastest(name, ran)):
        assert_convolved(depthwise_conv2d(*given), *given)
    assert ran == [*NAMES, name]
    (path,) = folder.rglob("*.json")
    assert json.loads(path.read_text()) == {CASE: {name: 1}}
    tuning.configurations.cache_clear()
    with torch.inference_mode(), tuning.tuned(fastest("sliding", ran)):
        assert choose(*given, 1) == name
    assert ran == [*NAMES, name]


def test_nothing_is_measured_in_a_request(folder: Path, given: Given, ran: list[str]) -> None:
    with torch.inference_mode():
        depthwise_conv2d(*given)
    assert ran == [NAMES[0]]
    assert not list(folder.iterdir())


@pytest.mark.parametrize("found", [{"cutlass": 1}, {"ROWS": 4}, {}, {"sliding": 1, "library": 1}])
def test_a_backend_of_another_version_leaves_the_tables(found: dict[str, int], folder: Path, given: Given) -> None:
    from kernels.tuning_cache import TuningCache

    TuningCache(folder).add(given[0].device.type, CASE, found)
    with torch.inference_mode():
        assert choose(*given, 1) == NAMES[0]


def test_training_follows_the_table(folder: Path, given: Given, ran: list[str]) -> None:
    from kernels.tuning import tuned

    with tuned(fastest("library", ran)):
        assert choose(*given, 1) == NAMES[0]
    assert ran == []


def test_other_devices_follow_the_table(
    folder: Path, given: Given, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kernels.tuning import tuned

    monkeypatch.setattr(dispatch, "MEASURED_DEVICES", ())
    with torch.inference_mode(), tuned(fastest("library", ran)):
        assert choose(*given, 1) == NAMES[0]
    assert ran == []
