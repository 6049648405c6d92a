# mypy: disable-error-code="no-untyped-def, untyped-decorator"
"""The depthwise convolution on tensor cores: every row of the kernel is a banded Toeplitz matrix.

Along a row of the map a kernel row of K taps is a linear map of input columns to output columns, and its matrix T holds
tap[i - o + shift] at (i, o). For one channel the convolution is then a sum over kernel rows of

    rows of the map, of all samples, shifted by the kernel row   x   T of that kernel row
         (M = samples x rows, input columns)                         (input columns, output columns)

The zeros of the band are multiplied as well, but tensor cores are an order of magnitude faster than CUDA cores, and
every shape of the model is then bound by memory. The same form as the two-stage blocked Toeplitz convolutions of
StripedHyena 2 (arXiv 2503.01868), in two dimensions. Taps are rounded to the map's dtype; sums are in float32.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.blocks import ceil_div
from kernels.launch import Config, on_device_of
from kernels.layout import memory_format
from kernels.packing import packed
from kernels.triton_planes import padded_planes
from kernels.tuning import launch_config

WIDEST_ROW = 32  # beyond, a matrix of the whole row multiplies more zeros than a tile with its halo
SMALLEST_BLOCK = 16  # of tl.dot


@triton.jit(do_not_specialize=["N", "C", "H"])  # alignment comes from the strides: no code of its own for a batch
def toeplitz_kernel(
    x_ptr,  # (N, C, H, STRIDE), padded
    bands_ptr,  # (C, K, INPUTS, OUTPUTS)
    bias_ptr,  # (C,)
    out_ptr,  # (N, C, H, W)
    N,
    C,
    H,
    W: tl.constexpr,
    FIRST: tl.constexpr,  # kernel rows before it meet no row of the map
    STRIDE: tl.constexpr,
    K: tl.constexpr,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    ROWS: tl.constexpr,
):
    REACH: tl.constexpr = K // 2
    column_tiles = tl.cdiv(W, OUTPUTS)
    row_tiles = tl.cdiv(N * H, ROWS)
    tile = tl.program_id(0)
    w = tile % column_tiles * OUTPUTS + tl.arange(0, OUTPUTS)
    first_column = tl.multiple_of(tile % column_tiles * OUTPUTS, OUTPUTS)
    tile = tile // column_tiles
    row = tile % row_tiles * ROWS + tl.arange(0, ROWS)
    c = tile // row_tiles
    n = row // H
    h = row % H
    map_row = (n.to(tl.int64) * C + c) * H + h

    i = tl.arange(0, INPUTS)
    x_rows = x_ptr + map_row * STRIDE + first_column
    bands = bands_ptr + c.to(tl.int64) * (K * INPUTS * OUTPUTS) + i[:, None] * OUTPUTS
    bands += tl.arange(0, OUTPUTS)[None, :]
    sums = tl.zeros((ROWS, OUTPUTS), tl.float32)
    for k in range(FIRST, K - FIRST):
        source = h + k - REACH
        inside = (n < N) & (source >= 0) & (source < H)
        x = tl.load(x_rows[:, None] + (k - REACH) * STRIDE + i[None, :], mask=inside[:, None], other=0.0)
        band = tl.load(bands + k * (INPUTS * OUTPUTS))
        sums = tl.dot(x, band, sums, input_precision="ieee")
    if HAS_BIAS:
        sums += tl.load(bias_ptr + c).to(tl.float32)
    inside = (n < N)[:, None] & (w < W)[None, :]
    tl.store(out_ptr + map_row[:, None] * W + w[None, :], sums.to(out_ptr.dtype.element_ty), mask=inside)


@dataclass(frozen=True)
class Band:
    """How rows are cut: from `inputs` padded columns to `outputs` columns, joined by tap i - o + shift."""

    inputs: int
    outputs: int
    shift: int
    left: int  # columns of padding before the map
    stride: int  # columns of the padded map


@lru_cache(maxsize=1024)
def band_for(width: int, size: int) -> Band:
    """A matrix of the whole row up to 32 columns; beyond, tiles of 16 or 32 columns with their halo."""
    reach = size // 2
    if width <= WIDEST_ROW:
        side = max(SMALLEST_BLOCK, triton.next_power_of_2(width))
        return Band(inputs=side, outputs=side, shift=reach, left=0, stride=side)
    outputs = SMALLEST_BLOCK if size <= SMALLEST_BLOCK + 1 else 2 * SMALLEST_BLOCK
    inputs = triton.next_power_of_2(outputs + size - 1)
    stride = (ceil_div(width, outputs) - 1) * outputs + inputs
    return Band(inputs=inputs, outputs=outputs, shift=0, left=reach, stride=stride)


def bands(weight: Tensor, band: Band) -> Tensor:
    """(C, 1, K, K) of any strides -> (C, K, inputs, outputs), contiguous: each kernel row as the matrix that it is."""
    channels, _, size, _ = weight.shape
    i = torch.arange(band.inputs, device=weight.device)[:, None]
    tap = i - torch.arange(band.outputs, device=weight.device) + band.shift
    inside = (tap >= 0) & (tap < size)
    rows = weight[:, 0, :, tap.clamp(0, size - 1)] * inside
    return rows.reshape(channels, size, band.inputs, band.outputs).contiguous()


def toeplitz_depthwise_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, config: Config | None = None
) -> Tensor:
    """x: (N, C, H, W) of float16 or bfloat16; weight: (C, 1, K, K), odd K; bias: (C,). Keeps x's layout.

    Made for contiguous maps; a channels-last one is transposed, and the output back. config: default by the tables.
    float32 runs too, exactly but without tensor cores.
    """
    n, channels, height, width = x.shape
    size = weight.shape[-1]
    band = band_for(width, size)
    first = max(size // 2 - height + 1, 0)

    def launch(config: Config) -> None:
        grid = (channels * ceil_div(n * height, config["ROWS"]) * ceil_div(width, band.outputs),)
        shape = (n, channels, height, width, first, band.stride, size, band.inputs, band.outputs)
        toeplitz_kernel[grid](planes, matrices, bias, out, *shape, HAS_BIAS=bias is not None, **config)

    with on_device_of(x):
        bias = None if bias is None else bias.contiguous()
        matrices = packed(weight, ("toeplitz", band), lambda taps: bands(taps, band))
        planes = padded_planes(x, band.left, band.stride)
        out = torch.empty((n, channels, height, width), dtype=x.dtype, device=x.device)
        case = ("toeplitz", x.dtype, n, channels, height, width, size)
        launch(config or launch_config(case, x.device, toeplitz_configs(n * height), launch))
    return out.contiguous(memory_format=memory_format(x))


@lru_cache(maxsize=1024)
def toeplitz_configs(rows: int) -> tuple[Config, ...]:
    """Block sizes worth trying, the default first: 128 rows, or as few as there are, in one stage. Several stages load
    around the first cache, where rows of the map lie that earlier rows of the kernel have read."""
    needed = max(SMALLEST_BLOCK, triton.next_power_of_2(rows))
    blocks = [min(128, needed)] + [block for block in (256, 64) if block <= needed]
    return tuple(
        {"ROWS": block, "num_warps": 4, "num_stages": stages} for stages in (1, 3) for block in dict.fromkeys(blocks)
    )
