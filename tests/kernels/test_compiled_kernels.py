"""What the compiler makes of the kernels for an H100 (sm_90), which needs no such device."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kernels.problems import needs_triton

pytestmark = needs_triton

ROOT = Path(__file__).resolve().parents[2]
Counts = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def counts() -> Counts:
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    command = [sys.executable, "-m", "tests.kernels.assembly"]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found: Counts = json.loads(run.stdout)
    return found


def test_nothing_is_spilled_to_the_stack(counts: Counts) -> None:
    for name, case in counts.items():
        assert case["stack"], name
        assert not any(case["stack"]), name


@pytest.mark.parametrize(("kernel", "least"), [("sliding", 0.65), ("tap gradient", 0.5)])
def test_sliding_kernels_spend_their_loop_on_multiply_adds(kernel: str, least: float, counts: Counts) -> None:
    loop = counts[kernel]["loop"]
    assert loop["FFMA"] == 2 * (13 * 14 - 42)  # two rows per thread; 42 of a row's products would fall on padding
    assert loop["FFMA"] / sum(loop.values()) > least


@pytest.mark.parametrize("kernel", ["toeplitz, row, bf16", "toeplitz, tiles, fp16"])
def test_toeplitz_multiplies_on_tensor_cores(kernel: str, counts: Counts) -> None:
    assert counts[kernel]["wgmma"] > 0
    assert counts[kernel]["instructions"].get("HGMMA", 0) > 0
    assert counts[kernel]["instructions"].get("FFMA", 0) == 0


@pytest.mark.parametrize(
    ("kernel", "registers"), [("channels last, row, bf16", 64), ("channels last, tiles, fp16", 128)]
)
def test_channels_last_maps_are_multiplied_on_tensor_cores_as_they_lie(
    kernel: str, registers: int, counts: Counts
) -> None:
    """All loads and stores are 16 bytes wide, but for the bias; and 256 threads fit a multiprocessor without spills."""
    case = counts[kernel]
    assert case["loop"]["HMMA"] == 16  # of two channels, and for each of four times 16 rows, twice 8 columns
    assert case["loop"].get("FFMA", 0) == 0
    assert set(case["accesses"]) == {"ld.global.v4.b32", "st.global.v4.b32", "ld.global.b16"}
    assert case["accesses"]["ld.global.v4.b32"] >= 5 * case["accesses"]["ld.global.b16"]
    assert case["registers"] <= 224


@pytest.mark.parametrize(
    ("kernel", "instruction"), [("expand", "HGMMA"), ("project", "HGMMA"), ("least, project", "HMMA")]
)
def test_linear_layers_multiply_on_tensor_cores(kernel: str, instruction: str, counts: Counts) -> None:
    assert counts[kernel]["instructions"].get(instruction, 0) > 0


@pytest.mark.parametrize("kernel", ["expand", "project"])
def test_linear_layers_load_beside_their_products(kernel: str, counts: Counts) -> None:
    assert counts[kernel]["loop"].get("LDGSTS", 0) > 0
    assert counts[kernel]["loop"].get("HGMMA", 0) > 0


def test_large_linear_blocks_leave_room_for_a_second_program(counts: Counts) -> None:
    assert counts["project"]["registers"] <= 168
    assert 2 * counts["project"]["shared"] < 227 * 1024  # bytes of a multiprocessor


def test_float32_layers_multiply_without_tensor_cores(counts: Counts) -> None:
    for kernel in ("expand, fp32", "project, fp32"):
        assert counts[kernel]["loop"]["FFMA"] >= 512
        assert counts[kernel]["loop"].get("LDGSTS", 0) > 0


def test_products_with_strides_have_64_bits(counts: Counts) -> None:
    assert counts["planes"]["offsets"] == ["i64"]
