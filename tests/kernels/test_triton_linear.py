"""The linear kernel, in Triton's interpreter or on a device, against float64.

The interpreter multiplies bfloat16 matrices wrongly, so without a device these are float16 and float32 ("ieee") alone.
"""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from tests.kernels.problems import TOLERANCE, drawn, error, needs_triton, poisoned

pytestmark = needs_triton


class Linear(NamedTuple):
    x: Tensor
    weight: Tensor
    bias: Tensor
    scale: Tensor
    residual: Tensor

    def expected(self) -> Tensor:
        x, weight, bias, scale, _ = (tensor.double() for tensor in self)
        return (x * scale[:, None]) @ weight.T + bias


def linear(n: int, positions: int, channels: int, outputs: int, dtype: torch.dtype) -> Linear:
    return Linear(
        drawn(n, positions, channels, dtype=dtype),
        (drawn(outputs, channels) / channels**0.5).to(dtype),
        drawn(outputs, dtype=dtype),
        drawn(n, channels).abs() + 0.5,
        drawn(n, positions, outputs, dtype=dtype),
    )


def blocks(rows: int, columns: int, depth: int) -> dict[str, int]:
    return {"ROWS": rows, "COLUMNS": columns, "DEPTH": depth, "num_warps": 4, "num_stages": 1}


CASES = [
    pytest.param((2, 16, 32, 32), torch.float32, blocks(16, 16, 16), id="blocks that divide everything"),
    pytest.param((2, 13, 20, 40), torch.float32, blocks(16, 32, 16), id="blocks that divide nothing"),
    pytest.param((3, 49, 24, 17), torch.float16, blocks(16, 16, 32), id="several blocks of each sample"),
    pytest.param((1, 1, 8, 3), torch.float16, blocks(16, 16, 16), id="one position"),
]


@pytest.mark.parametrize(("shape", "dtype", "config"), CASES)
def test_expand_is_gelu_of_the_layer_of_the_gated_rows(
    shape: tuple[int, int, int, int], dtype: torch.dtype, config: dict[str, int]
) -> None:
    from kernels.triton_linear import expand

    case = linear(*shape, dtype)
    with poisoned():
        hidden, squares = expand(case.x, case.weight, case.bias, case.scale, config)
    expected = torch.nn.functional.gelu(case.expected())
    assert hidden.dtype is dtype
    assert squares.dtype is torch.float32
    assert error(hidden, expected) < 2 * TOLERANCE[dtype]
    assert error(squares.sum(dim=1), expected.square().sum(dim=1)) < 2 * TOLERANCE[dtype]


@pytest.mark.parametrize(("shape", "dtype", "config"), CASES)
def test_project_is_the_layer_of_the_scaled_rows_and_the_residual(
    shape: tuple[int, int, int, int], dtype: torch.dtype, config: dict[str, int]
) -> None:
    from kernels.triton_linear import project

    case = linear(*shape, dtype)
    with poisoned():
        out = project(case.x, case.weight, case.bias, case.scale, case.residual, config)
    assert out.dtype is dtype
    assert error(out, case.expected() + case.residual.double()) < 2 * TOLERANCE[dtype]


def test_equal_calls_give_equal_bits() -> None:
    from kernels.triton_linear import expand

    case = linear(2, 20, 16, 24, torch.float16)
    first, again = (expand(*case[:4], blocks(16, 16, 16)) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


@pytest.mark.parametrize("shape", [(1, 3136, 40, 160), (16, 49, 2560, 640), (2, 5, 8, 12), (128, 196, 320, 1280)])
def test_configurations_differ_and_keep_the_accumulators_in_registers(shape: tuple[int, int, int, int]) -> None:
    from kernels.triton_linear import linear_configs

    n, positions, channels, outputs = shape
    found = linear_configs(torch.empty(n, positions, channels, device="meta"), torch.empty(outputs, channels))
    assert len({tuple(config.items()) for config in found}) == len(found)
    for config in found:
        assert config["ROWS"] * config["COLUMNS"] / (32 * config["num_warps"]) <= 64
        assert min(config["ROWS"], config["COLUMNS"], config["DEPTH"]) >= 16
