"""The table of backends: what fits what, what is there without Triton, and how a test overrides it."""

import importlib.util
import sysconfig
from functools import lru_cache
from pathlib import Path

import pytest
import torch

from kernels import depthwise_conv2d, dispatch
from kernels.backends import BACKENDS
from kernels.dispatch import RULES, Problem, backends_for, choose, forced_backend
from tests.kernels.problems import assert_convolved, drawn, problem

LAST, CONTIGUOUS = torch.channels_last, torch.contiguous_format
HALF, FULL, DOUBLE = torch.float16, torch.float32, torch.float64


@pytest.fixture(params=[True, False], ids=["with triton", "without triton"])
def triton(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(dispatch, "triton_runs", lambda: request.param)
    monkeypatch.setattr(dispatch, "backends_for", backends_for.__wrapped__)
    present: bool = request.param
    return present


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (Problem("cpu", FULL, CONTIGUOUS, 9, 1, 196, True, False), "library"),
        (Problem("cpu", FULL, CONTIGUOUS, 15, 1, 196, True, False), "library, channels last"),
        (Problem("cpu", FULL, CONTIGUOUS, 13, 1, 144, False, True), "plane"),
        (Problem("cpu", FULL, CONTIGUOUS, 7, 2, 144, False, True), "plane"),
        (Problem("cpu", FULL, CONTIGUOUS, 9, 1, 145, False, True), "library"),
        (Problem("cpu", FULL, CONTIGUOUS, 9, 1, 144, True, True), "library"),
        (Problem("cuda", HALF, LAST, 13, 1, 196, True, False), "channels_last"),
        (Problem("cuda", HALF, LAST, 3, 1, 3136, True, False), "sliding"),
        (Problem("cuda", FULL, LAST, 31, 1, 4096, True, False), "sliding"),
        (Problem("cuda", HALF, LAST, 31, 1, 4096, True, False), "channels_last"),
        (Problem("cuda", HALF, CONTIGUOUS, 13, 1, 196, True, False), "toeplitz"),
        (Problem("cuda", HALF, LAST, 13, 1, 49, True, False), "dense"),
        (Problem("cuda", DOUBLE, LAST, 13, 1, 196, True, False), "library"),
        (Problem("cuda", None, LAST, 13, 1, 196, True, False), "library"),
        (Problem("cuda", HALF, LAST, 7, 2, 196, False, True), "library"),
        (Problem("cuda", HALF, LAST, 33, 1, 196, False, False), "library"),
        (Problem("mps", FULL, LAST, 13, 1, 196, True, False), "library"),
    ],
)
def test_the_table_names_the_backend(problem: Problem, expected: str, triton: bool) -> None:
    found = backends_for.__wrapped__(problem)
    assert found[0] == (expected if triton or not BACKENDS[expected].triton else "library")


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (
            Problem("cuda", HALF, LAST, 13, 1, 196, True, False),
            ("channels_last", "sliding", "toeplitz", "library"),
        ),
        (
            Problem("cuda", HALF, LAST, 13, 1, 49, True, False),
            ("dense", "channels_last", "sliding", "toeplitz", "library"),
        ),
        (Problem("cuda", FULL, LAST, 3, 1, 196, True, False), ("sliding", "library")),
        (Problem("cuda", HALF, CONTIGUOUS, 13, 1, 196, True, False), ("toeplitz", "sliding", "library")),
        (Problem("cuda", HALF, LAST, 13, 2, 196, True, False), ("library",)),
    ],
)
def test_every_row_that_fits_names_a_candidate(problem: Problem, expected: tuple[str, ...], triton: bool) -> None:
    there = tuple(name for name in expected if triton or not BACKENDS[name].triton)
    assert backends_for.__wrapped__(problem) == there


def test_every_rule_names_a_backend_and_the_last_one_fits_everything() -> None:
    assert {rule.backend for rule in RULES} == set(BACKENDS)
    assert RULES[-1].fits(Problem("xpu", None, CONTIGUOUS, 1001, 9, 0, True, True))
    assert not BACKENDS[RULES[-1].backend].triton


def test_tensors_are_told_apart_as_the_table_asks() -> None:
    x, weight = drawn(1, 2, 9, 9).cpu(), drawn(2, 1, 9, 9).cpu()
    assert choose(x, weight, None, 1) == "library"
    assert choose(x, weight.requires_grad_(), None, 1) == "plane"
    assert choose(x, weight, drawn(2).cpu(), 1) == "library"
    with torch.no_grad():
        assert choose(x, weight, None, 1) == "library"


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_convolves_with_bias(backend: str) -> None:
    x, weight, bias = problem(1, 3, 4, 5, 3)
    with forced_backend(backend), torch.no_grad():
        assert choose(x, weight, bias, 1) == backend
        found = depthwise_conv2d(x, weight, bias)
    assert_convolved(found.contiguous(memory_format=torch.contiguous_format), x, weight, bias)
    assert choose(x, weight, bias, 1) == "library"


def test_an_unknown_backend_is_refused_by_name() -> None:
    with (
        pytest.raises(ValueError, match="backend 'cudnn' is unknown, expected one of library"),
        forced_backend("cudnn"),
    ):
        pass


@pytest.mark.parametrize("backend", ["dense", "sliding", "toeplitz", "channels_last"])
def test_backends_that_cannot_dilate_say_so(backend: str) -> None:
    x, weight, _ = problem(1, 2, 5, 5, 3)
    with forced_backend(backend), pytest.raises(ValueError, match=f"'{backend}' got dilation 2, expected 1"):
        depthwise_conv2d(x, weight, dilation=2)


@pytest.mark.parametrize(
    ("compiler", "headers", "named"),
    [(None, True, "a C compiler"), ("/usr/bin/gcc", False, "Python.h"), (None, False, "a C compiler and Python.h")],
)
def test_a_machine_that_cannot_build_launchers_says_so_once_and_takes_the_library(
    compiler: str | None, headers: bool, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(dispatch, "_compiler", lambda: compiler)
    monkeypatch.setattr(dispatch, "_headers", lambda: headers)
    monkeypatch.setattr(dispatch, "triton_runs", lru_cache(dispatch.triton_runs.__wrapped__))
    monkeypatch.setattr(dispatch, "backends_for", dispatch.backends_for.__wrapped__)
    problem = Problem("cuda", HALF, LAST, 13, 1, 196, True, False)
    with pytest.warns(UserWarning, match=f"since {named} cannot be found: install gcc and python3-dev") as warned:
        assert [dispatch.backends_for(problem) for _ in range(2)] == [("library",)] * 2
    assert len(warned) == 1


def test_headers_are_looked_for_where_triton_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sysconfig, "get_paths", lambda scheme: {"include": str(tmp_path)})
    assert not dispatch._headers()
    (tmp_path / "Python.h").touch()
    assert dispatch._headers()
