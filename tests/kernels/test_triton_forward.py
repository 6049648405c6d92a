"""The sliding kernel, in Triton's interpreter or on a device, against the ground truth in float64."""

import pytest
import torch

from kernels.reference import reference_depthwise_conv2d
from tests.kernels.problems import LAYOUTS, TOLERANCE, assert_convolved, drawn, error, needs_triton, poisoned, problem

pytestmark = needs_triton


def blocks(rows: int, columns: int, channels: int) -> dict[str, int]:
    return {"ROWS": rows, "COLUMNS": columns, "CHANNELS": channels, "num_warps": 2}


# Few fat programs: the interpreter's time goes by the operation, whatever the size of its blocks.
CASES = [
    pytest.param((1, 5, 7, 7), 13, blocks(8, 7, 16), "channels last", id="kernel beyond the map"),
    pytest.param((2, 20, 5, 6), 3, blocks(8, 6, 16), "contiguous", id="channels that blocks do not divide"),
    pytest.param((1, 16, 4, 11), 5, blocks(4, 6, 16), "channels last", id="columns that tiles do not divide"),
    pytest.param((1, 1, 1, 1), 31, blocks(4, 1, 16), "contiguous", id="one position"),
    pytest.param((1, 16, 5, 4), 5, blocks(2, 4, 16), "contiguous", id="rows that tiles do not divide"),
]


@pytest.mark.parametrize(("shape", "size", "config", "layout"), CASES)
def test_output_is_the_convolution(
    shape: tuple[int, int, int, int], size: int, config: dict[str, int], layout: str
) -> None:
    from kernels.triton_forward import sliding_depthwise_conv2d

    x, weight, bias = problem(*shape, size)
    x = x.contiguous(memory_format=LAYOUTS[layout])
    with poisoned():
        assert_convolved(sliding_depthwise_conv2d(x, weight, bias, config), x, weight, bias)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype: torch.dtype) -> None:
    from kernels.triton_forward import sliding_depthwise_conv2d

    x, weight, _ = problem(1, 16, 4, 6, 5, dtype)
    with poisoned():
        assert_convolved(sliding_depthwise_conv2d(x, weight, config=blocks(4, 6, 16)), x, weight)


def test_the_default_blocks_fit_a_strided_map() -> None:
    from kernels.triton_forward import sliding_depthwise_conv2d

    wide, weight, bias = problem(1, 3, 4, 10, 3)
    x = wide[..., ::2]
    with poisoned():
        found = sliding_depthwise_conv2d(x, weight, bias)
    assert error(found, reference_depthwise_conv2d(x, weight, bias)) < TOLERANCE[torch.float32]


def test_channel_sums_are_those_of_the_output() -> None:
    from kernels.triton_forward import sliding_depthwise_conv2d_with_sums

    x, weight, bias = problem(2, 5, 6, 7, 3)
    x = x.contiguous(memory_format=torch.channels_last)
    with poisoned():
        found, sums = sliding_depthwise_conv2d_with_sums(x, weight, bias, blocks(4, 4, 16))
    assert_convolved(found, x, weight, bias)
    assert sums.dtype is torch.float32
    assert sums.shape == (2, 4, 5)
    assert error(sums.sum(dim=1), reference_depthwise_conv2d(x, weight, bias).sum((2, 3))) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("shape", [(1, 40, 56, 56), (128, 320, 14, 14), (1, 320, 14, 14), (2, 7, 3, 17)])
def test_default_blocks_are_the_largest_that_fill_a_device(shape: tuple[int, int, int, int]) -> None:
    from kernels.triton_forward import BUSY, programs, sliding_configs

    default, *others = sliding_configs(*shape)
    assert default not in others
    busy = [config for config in (default, *others) if programs(config, *shape) >= BUSY]
    assert not busy or default in busy
    assert all(shape[3] <= -(-shape[3] // config["COLUMNS"]) * config["COLUMNS"] for config in others)


def test_equal_calls_give_equal_bits() -> None:
    from kernels.triton_forward import sliding_depthwise_conv2d_with_sums

    x, weight, config = drawn(1, 4, 3, 5), drawn(4, 1, 3, 3), blocks(4, 5, 16)
    first, again = (sliding_depthwise_conv2d_with_sums(x, weight, None, config) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
