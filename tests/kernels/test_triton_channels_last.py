"""The channels-last kernel for tensor cores, in Triton's interpreter or on a device, against the truth in float64.

The interpreter multiplies bfloat16 matrices wrongly, so these are float16 and float32 ("ieee") alone.
"""

import pytest
import torch

from kernels.channels_last_blocks import INPUTS, channels_last_configs
from kernels.reference import reference_depthwise_conv2d
from tests.kernels.problems import LAYOUTS, TOLERANCE, assert_convolved, drawn, error, needs_triton, poisoned, problem

pytestmark = needs_triton

Shape = tuple[int, int, int, int]


def blocks(rows: int, outputs: int, steps: int) -> dict[str, int]:
    return {"ROWS": rows, "OUTPUTS": outputs, "CHANNELS": 16, "STEPS": steps, "num_warps": 4, "num_stages": 1}


NARROW, WIDE, TALL = blocks(16, 16, 1), blocks(16, 32, 2), blocks(32, 16, 2)
# Rows of one tile, of several with their halo; blocks that nothing divides; samples that share a tile; a kernel beyond
# the map.
CASES = [
    ((3, 5, 7, 7), 13, torch.float16, "channels last", NARROW),
    ((2, 20, 14, 14), 13, torch.float16, "channels last", TALL),
    ((1, 3, 5, 15), 3, torch.float32, "contiguous", NARROW),
    ((1, 16, 19, 16), 7, torch.float16, "channels last", NARROW),
    ((2, 3, 4, 17), 9, torch.float16, "channels last", NARROW),
    ((1, 8, 20, 28), 13, torch.float16, "channels last", WIDE),
    ((1, 2, 3, 28), 5, torch.float32, "channels last", NARROW),
    ((1, 2, 2, 33), 31, torch.float16, "channels last", WIDE),
    ((1, 1, 3, 49), 31, torch.float32, "contiguous", NARROW),
    ((2, 2, 1, 1), 31, torch.float16, "contiguous", NARROW),
]


@pytest.mark.parametrize(("shape", "size", "dtype", "layout", "config"), CASES)
def test_output_is_the_convolution(
    shape: Shape, size: int, dtype: torch.dtype, layout: str, config: dict[str, int]
) -> None:
    from kernels.triton_channels_last import channels_last_depthwise_conv2d

    x, weight, bias = problem(*shape, size, dtype)
    x = x.contiguous(memory_format=LAYOUTS[layout])
    with poisoned():
        assert_convolved(channels_last_depthwise_conv2d(x, weight, bias, config), x, weight, bias)


def test_the_default_blocks_fit_a_strided_map_and_weight_without_bias() -> None:
    from kernels.triton_channels_last import channels_last_depthwise_conv2d

    x, weight = drawn(2, 3, 4, 10, dtype=torch.float16)[..., ::2], drawn(3, 3, 3, dtype=torch.float16)
    weight = weight.permute(2, 0, 1)[:, None]
    with poisoned():
        found = channels_last_depthwise_conv2d(x, weight)
    assert error(found, reference_depthwise_conv2d(x, weight)) < TOLERANCE[torch.float16]


def test_no_samples_give_no_output() -> None:
    from kernels.triton_channels_last import channels_last_depthwise_conv2d_with_sums

    x, weight, bias = problem(0, 3, 4, 5, 3)
    found, sums = channels_last_depthwise_conv2d_with_sums(x, weight, bias, NARROW)
    assert found.shape == x.shape
    assert sums.shape == (0, 4, 3)


@pytest.mark.parametrize(("shape", "config", "parts"), [((2, 5, 18, 17), NARROW, 36), ((3, 20, 7, 7), TALL, 7)])
def test_channel_sums_are_those_of_the_output(shape: Shape, config: dict[str, int], parts: int) -> None:
    from kernels.triton_channels_last import channels_last_depthwise_conv2d_with_sums

    x, weight, bias = problem(*shape, 3, torch.float16)
    x = x.contiguous(memory_format=torch.channels_last)
    with poisoned():
        found, sums = channels_last_depthwise_conv2d_with_sums(x, weight, bias, config)
        again, sums_again = channels_last_depthwise_conv2d_with_sums(x, weight, bias, config)
    assert_convolved(found, x, weight, bias)
    assert sums.dtype is torch.float32
    assert sums.shape == (shape[0], parts, shape[1])
    assert error(sums.sum(dim=1), reference_depthwise_conv2d(x, weight, bias).sum((2, 3))) < TOLERANCE[torch.float32]
    assert torch.equal(found, again)
    assert torch.equal(sums, sums_again)


@pytest.mark.parametrize("outputs", [16, 32])
@pytest.mark.parametrize("size", [3, 13, 17, 21, 31])
@pytest.mark.parametrize("width", [7, 16, 28, 33, 64, 96])
def test_bands_hold_the_convolution_of_a_row(width: int, size: int, outputs: int) -> None:
    from kernels.triton_channels_last import cut_for, tiled_bands

    cut, taps, row = cut_for(width, size, outputs), drawn(1, 1, size, size).double(), drawn(width).double()
    matrix = tiled_bands(taps, cut)[0, :, size // 2].flatten(0, 1)
    padded = torch.nn.functional.pad(row, (cut.left, cut.tiles * INPUTS))
    starts = range(0, width, outputs)
    found = torch.cat([padded[start : start + len(matrix)] @ matrix for start in starts])[:width]
    expected = torch.nn.functional.conv1d(row[None, None], taps[:, 0, size // 2][None], padding=size // 2)[0, 0]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("width", "size", "outputs", "tiles"), [(14, 13, 16, 1), (28, 13, 32, 2), (64, 31, 16, 3)])
def test_rows_are_cut_into_the_fewest_tiles(width: int, size: int, outputs: int, tiles: int) -> None:
    from kernels.triton_channels_last import cut_for

    assert cut_for(width, size, outputs).tiles == tiles


@pytest.mark.parametrize(
    ("shape", "blocks"),
    [
        ((128, 320, 14, 14), (64, 16, 16)),
        ((128, 160, 28, 28), (64, 16, 16)),
        ((1, 320, 14, 14), (16, 16, 32)),
        ((1, 16, 14, 14), (16, 16, 16)),
        ((0, 1, 1, 1), (64, 16, 16)),
    ],
)
def test_the_default_blocks_compute_and_read_the_least(shape: Shape, blocks: tuple[int, int, int]) -> None:
    default, *others = channels_last_configs(*shape)
    assert (default["ROWS"], default["OUTPUTS"], default["CHANNELS"]) == blocks
    assert default not in others
