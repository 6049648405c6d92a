"""The tensor-core kernel, in Triton's interpreter or on a device, against the ground truth in float64.

The interpreter multiplies bfloat16 matrices wrongly, so these are float16 and float32 ("ieee") alone.
"""

import pytest
import torch

from tests.kernels.problems import LAYOUTS, assert_convolved, drawn, needs_triton, poisoned, problem

pytestmark = needs_triton

# A row in one matrix, padded and not; tiles with their halo, narrow and wide; a kernel beyond the map.
CASES = [
    ((2, 3, 7, 7), 13, torch.float16, "channels last"),
    ((1, 2, 5, 16), 3, torch.float32, "contiguous"),
    ((3, 1, 6, 28), 17, torch.float16, "channels last"),
    ((1, 2, 4, 40), 5, torch.float16, "contiguous"),
    ((1, 1, 9, 35), 31, torch.float32, "channels last"),
    ((1, 2, 1, 1), 31, torch.float16, "contiguous"),
]


@pytest.mark.parametrize(("shape", "size", "dtype", "layout"), CASES)
def test_output_is_the_convolution(
    shape: tuple[int, int, int, int], size: int, dtype: torch.dtype, layout: str
) -> None:
    from kernels.triton_toeplitz import toeplitz_depthwise_conv2d

    x, weight, bias = problem(*shape, size, dtype)
    x = x.contiguous(memory_format=LAYOUTS[layout])
    with poisoned():
        assert_convolved(toeplitz_depthwise_conv2d(x, weight, bias), x, weight, bias)


def test_rows_of_several_blocks_and_no_bias() -> None:
    from kernels.triton_toeplitz import toeplitz_depthwise_conv2d

    x, weight, _ = problem(3, 2, 11, 14, 9, torch.float16)
    with poisoned():
        found = toeplitz_depthwise_conv2d(x, weight, config={"ROWS": 16, "num_warps": 4, "num_stages": 1})
    assert_convolved(found, x, weight)


@pytest.mark.parametrize(("width", "size"), [(7, 13), (14, 13), (28, 31), (32, 3), (33, 3), (48, 13), (64, 31)])
def test_bands_hold_the_convolution_of_a_row(width: int, size: int) -> None:
    from kernels.triton_toeplitz import band_for, bands

    band, taps = band_for(width, size), drawn(1, 1, size, size).double()
    row = drawn(width).double()
    padded = torch.zeros(band.stride, dtype=torch.float64, device=row.device)
    padded[band.left : band.left + width] = row
    matrix = bands(taps, band)[0, size // 2]
    found = torch.cat([padded[start : start + band.inputs] @ matrix for start in range(0, width, band.outputs)])[:width]
    expected = torch.nn.functional.conv1d(row[None, None], taps[:, 0, size // 2][None], padding=size // 2)[0, 0]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("left", [0, 5])
def test_padded_planes_are_the_map_with_zeros_around_it(left: int) -> None:
    from kernels.triton_planes import padded_planes

    x = drawn(2, 35, 4, 9).contiguous(memory_format=torch.channels_last)
    with poisoned():
        planes = padded_planes(x, left, 16)
    assert planes.is_contiguous()
    assert torch.equal(planes, torch.nn.functional.pad(x, (left, 16 - 9 - left)))


def test_a_contiguous_map_that_needs_no_padding_is_not_copied() -> None:
    from kernels.triton_planes import padded_planes

    x = drawn(1, 2, 3, 16)
    assert padded_planes(x, 0, 16) is x
