"""When steps run fused: not by themselves on a CPU, and elsewhere as it was measured."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from kernels import fuses, fusions
from kernels.fused_block import fused_block
from kernels.fusions import forced_fusions
from kernels.reference import reference_block
from kernels.steps import STEPS
from tests.kernels.problems import TOLERANCE, block_weights, drawn, error, needs_triton


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is known about any device."""
    from kernels import tuning

    monkeypatch.setenv("UNIREPLKNET_CACHE_FOLDER", str(tmp_path))
    tuning.configurations.cache_clear()
    yield
    tuning.configurations.cache_clear()


def test_a_cpu_takes_the_plain_modules() -> None:
    with torch.inference_mode():
        assert not fuses(drawn(1, 2, 3, 3).cpu(), drawn(2).cpu())


def test_fused_steps_are_for_inference_in_one_dtype_and_channels_last() -> None:
    x, weight = drawn(2, 4, 3, 3).contiguous(memory_format=torch.channels_last), drawn(4)
    assert not fusions._infers(x, weight)  # gradients are on
    with torch.inference_mode():
        assert fusions._infers(x, weight)
        assert fusions._infers(x.half(), weight.half())
        assert not fusions._infers(x.contiguous(), weight)
        assert not fusions._infers(x.half(), weight)
        assert not fusions._infers(x.double(), weight.double())
        assert not fusions._infers(x[:0], weight)
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            assert not fusions._infers(x, weight)


def test_compilers_see_the_plain_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    x = drawn(1, 2, 3, 3)
    with forced_fusions(STEPS):
        assert fuses(x, x)
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
        assert not fuses(x, x)


def test_an_unknown_step_is_refused_by_name() -> None:
    with (
        pytest.raises(ValueError, match="steps soar are unknown, expected some of squeeze, gate"),
        forced_fusions(["soar"]),
    ):
        pass


@needs_triton
@pytest.mark.parametrize("fused", [True, False], ids=["kernels are faster", "the library is faster"])
def test_what_was_measured_faster_runs(fused: bool, fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from kernels.tuning import tuned

    by_library: list[str] = []
    for name, step in STEPS.items():
        monkeypatch.setitem(STEPS, name, replace(step, library=noting(by_library, name, step.library)))

    def measure(call: Callable[[], object]) -> float:
        before = len(by_library)
        call()
        return 1.0 if (len(by_library) == before) == fused else 2.0

    x, weights = drawn(1, 4, 2, 3), block_weights(4, 3)
    with torch.inference_mode():
        with tuned(measure):
            fused_block(x, weights)
        by_library.clear()
        found = fused_block(x, weights)
    assert by_library == ([] if fused else [name for name in STEPS if name != "norm"])
    assert error(found, reference_block(x, weights)) < 2 * TOLERANCE[torch.float32]


def noting(notes: list[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*arguments: object) -> Any:
        notes.append(name)
        return function(*arguments)

    return noted


@needs_triton
def test_what_was_not_measured_runs_by_the_library(fresh: None) -> None:
    x, weights = drawn(1, 8, 3, 4), block_weights(8, 3)
    with torch.inference_mode():
        with forced_fusions(()):
            expected = fused_block(x, weights)
        assert torch.equal(fused_block(x, weights), expected)
