# mypy: disable-error-code="no-untyped-def, untyped-decorator, assignment"
"""The depthwise convolution on tensor cores, of channels-last maps as they lie in memory.

Every row of a kernel is a banded matrix, as in `kernels.triton_toeplitz`: it takes INPUTS columns of a row of the map
to OUTPUTS columns of the output. Here a program has CHANNELS channels of ROWS rows, which it reads and writes in the
order of memory, 16 bytes at a time, and turns in registers and shared memory into a matrix for each channel: no map is
copied or padded. For every kernel row, and every INPUTS columns that reach the output,

    sums (CHANNELS, ROWS, OUTPUTS) += rows of the map (CHANNELS, ROWS, INPUTS) x bands (CHANNELS, INPUTS, OUTPUTS)

Rows and columns outside the map are zeros that nobody loads, and blocks of them are left out. A row of the map is read
once for each row of the kernel; all but the first time it lies in the first cache, which loads to registers go through,
and software pipelining would go around: hence one stage. A band serves one channel, so that all bands are read by every
program of their channels: blocks of many rows read them the fewest times. Taps are rounded to the map's dtype; sums are
in float32.
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.channels_last_blocks import INPUTS, channels_last_configs
from kernels.launch import Config, on_device_of
from kernels.layout import memory_format
from kernels.packing import packed
from kernels.tuning import launch_config

OUTSIDE = tl.constexpr(1 << 30)  # a row in no map, even when it is shifted by a kernel row


@triton.jit
def kernel_rows(
    sums,  # (CHANNELS, ROWS, OUTPUTS), float32
    columns,  # pointers to the map at the rows of the output, (ROWS, INPUTS, CHANNELS)
    inside,  # which of their columns and channels lie in the map
    bands,  # pointers to the first band, (CHANNELS, INPUTS, OUTPUTS)
    c_inside,
    h,  # rows of the output
    H,
    k,
    k_end,
    PITCH: tl.constexpr,  # from a row of the map to the next
    REACH: tl.constexpr,
    STEPS: tl.constexpr,
):
    """sums += rows of the map, shifted, times the band of their kernel row, for kernel rows from k to before k_end."""
    BAND: tl.constexpr = bands.shape[1] * bands.shape[2]
    while k < k_end:  # a `range` of tensors does not run in the interpreter with NumPy 2.4
        loaded = ()
        for step in tl.static_range(STEPS):
            source = (h + (k + step - REACH)).to(tl.uint32, bitcast=True)  # above the map: larger than any height
            x_inside = (source < H.to(tl.uint32, bitcast=True))[:, None, None] & inside
            x = tl.load(columns + (k + step - REACH) * PITCH, mask=x_inside, other=0.0)
            band_inside = (c_inside & (k + step < k_end))[:, None, None]
            band = tl.load(bands + (k + step) * BAND, mask=band_inside, other=0.0)
            loaded = loaded + ((x, band),)
        for step in tl.static_range(STEPS):
            x, band = loaded[step]
            sums = tl.dot(tl.permute(x, (2, 0, 1)), band, sums, input_precision="ieee")
        k += STEPS
    return sums


@triton.jit(do_not_specialize=["N", "H"])
def channels_last_kernel(
    x_ptr,  # (N, H, W, C)
    bands_ptr,  # (C, TILES, K, INPUTS, OUTPUTS)
    bias_ptr,  # (C,)
    out_ptr,  # (N, H, W, C)
    sums_ptr,  # (N, H, column tiles, C), float32
    N,
    H,
    W: tl.constexpr,
    C: tl.constexpr,
    K: tl.constexpr,
    LEFT: tl.constexpr,  # columns from the first one that the tiles read to the first one of the output
    TILES: tl.constexpr,
    INPUTS: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    WITH_SUMS: tl.constexpr,
    ROWS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    CHANNELS: tl.constexpr,
    STEPS: tl.constexpr,  # kernel rows that are loaded at a time
):
    REACH: tl.constexpr = K // 2
    column_tiles: tl.constexpr = (W + OUTPUTS - 1) // OUTPUTS
    channel_tiles: tl.constexpr = (C + CHANNELS - 1) // CHANNELS
    tile = tl.program_id(0)
    c0 = tile % channel_tiles * CHANNELS
    tile = tile // channel_tiles
    w0 = tile % column_tiles * OUTPUTS
    row_tile = tile // column_tiles
    row0 = row_tile * ROWS  # of all samples, one behind the other
    row = tl.arange(0, ROWS)
    row_inside = row0 + row < N * H
    c = tl.arange(0, CHANNELS)
    c_inside = c0 + c < C
    start = row0.to(tl.int64) * (W * C) + c0
    positions = (row * (W * C))[:, None, None] + c[None, None, :]
    h0 = row0 % H
    h = tl.where(row_inside, (h0 + row) % H, OUTSIDE)

    sums = tl.zeros((CHANNELS, ROWS, OUTPUTS), tl.float32)
    if HAS_BIAS:
        sums += tl.load(bias_ptr + c0 + c, mask=c_inside, other=0.0).to(tl.float32)[:, None, None]
    i, o = tl.arange(0, INPUTS), tl.arange(0, OUTPUTS)
    bands = bands_ptr + c0.to(tl.int64) * (TILES * K * INPUTS * OUTPUTS) + o[None, None, :]
    bands += c[:, None, None] * (TILES * K * INPUTS * OUTPUTS) + i[None, :, None] * OUTPUTS

    # Kernel rows that meet a row of the map: of the rows of this program, or of all where it goes on in the next sample
    alone = h0 + ROWS <= H
    k_first = tl.maximum(REACH - tl.where(alone, h0 + ROWS, H) + 1, 0)
    k_end = tl.minimum(H + REACH - tl.where(alone, h0, 0), K)
    j = tl.maximum(LEFT - w0, 0) // INPUTS
    j_end = tl.minimum(tl.cdiv(W + LEFT - w0, INPUTS), TILES)
    while j < j_end:
        w = w0 - LEFT + j * INPUTS + i
        inside = ((w >= 0) & (w < W))[None, :, None] & c_inside[None, None, :]
        columns = x_ptr + start + positions + w[None, :, None] * C
        sums = kernel_rows(
            sums,
            columns,
            inside,
            bands + j * (K * INPUTS * OUTPUTS),
            c_inside,
            h,
            H,
            k_first,
            k_end,
            W * C,
            K // 2,
            STEPS,
        )
        j += 1

    w = w0 + o
    if WITH_SUMS:
        totals = tl.trans(tl.sum(tl.where((w < W)[None, None, :], sums, 0.0), axis=2))
        part = (row0.to(tl.int64) * column_tiles + w0 // OUTPUTS) * C + c0
        parts = sums_ptr + part + (row * (column_tiles * C))[:, None] + c[None, :]
        tl.store(parts, totals, mask=row_inside[:, None] & c_inside[None, :])
    y = tl.permute(sums, (1, 2, 0)).to(out_ptr.dtype.element_ty)
    inside = row_inside[:, None, None] & (w < W)[None, :, None] & c_inside[None, None, :]
    tl.store(out_ptr + start + positions + w[None, :, None] * C, y, mask=inside)


@dataclass(frozen=True)
class Cut:
    """How rows are cut: `tiles` times INPUTS columns reach `outputs` columns, from `left` columns before them on."""

    outputs: int
    left: int
    tiles: int


def cut_for(width: int, size: int, outputs: int) -> Cut:
    """The fewest tiles; where it costs none, they begin where those of other outputs do, so that one whole lies outside
    the map and is left out."""
    reach = size // 2
    if width <= outputs:
        return Cut(outputs, left=0, tiles=triton.cdiv(width, INPUTS))
    tiles = triton.cdiv(outputs + 2 * reach, INPUTS)
    aligned = triton.cdiv(reach, INPUTS) * INPUTS
    return Cut(outputs, left=aligned if aligned + outputs + reach <= tiles * INPUTS else reach, tiles=tiles)


def tiled_bands(weight: Tensor, cut: Cut) -> Tensor:
    """(C, 1, K, K) -> (C, tiles, K, INPUTS, outputs): each kernel row as the matrices that it is."""
    size, device = weight.shape[-1], weight.device
    column = torch.arange(cut.tiles * INPUTS, device=device).reshape(cut.tiles, INPUTS, 1) - cut.left
    tap = column - torch.arange(cut.outputs, device=device) + size // 2
    taps = weight[:, 0, :, tap.clamp(0, size - 1)]
    return torch.where((tap >= 0) & (tap < size), taps, 0).transpose(1, 2).contiguous()


def channels_last_depthwise_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, config: Config | None = None
) -> Tensor:
    """x: (N, C, H, W) of float16 or bfloat16; weight: (C, 1, K, K), odd K; bias: (C,). Keeps x's layout.

    Made for channels-last; a contiguous map is converted, and the output back. config: default by the tables.
    float32 runs too, exactly but without tensor cores.
    """
    return _convolve(x, weight, bias, config, with_sums=False)[0]


def channels_last_depthwise_conv2d_with_sums(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, config: Config | None = None
) -> tuple[Tensor, Tensor]:
    """As `channels_last_depthwise_conv2d`, and with it the sums of every channel of the output over its positions, in
    parts, one for each row: (N, parts, C), float32. Taken before the output is rounded, and without atomics.
    """
    return _convolve(x, weight, bias, config, with_sums=True)


def _convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, config: Config | None, with_sums: bool
) -> tuple[Tensor, Tensor]:
    n, channels, height, width = x.shape
    size = weight.shape[-1]
    maps = x.contiguous(memory_format=torch.channels_last)
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    flat_bias = None if bias is None else bias.contiguous()

    def launch(config: Config) -> Tensor:
        cut = cut_for(width, size, config["OUTPUTS"])
        layout = ("channels last", cut, x.dtype)
        bands = packed(weight, layout, lambda taps: tiled_bands(taps.to(x.dtype), cut))
        column_tiles = triton.cdiv(width, cut.outputs)
        parts = (n, height * column_tiles, channels)
        sums = torch.empty(parts if with_sums else 0, dtype=torch.float32, device=x.device)
        tiles = triton.cdiv(n * height, config["ROWS"]) * column_tiles
        grid = (tiles * triton.cdiv(channels, config["CHANNELS"]),)
        shape = (n, height, width, channels, size, cut.left, cut.tiles, INPUTS)
        flags = {"HAS_BIAS": bias is not None, "WITH_SUMS": with_sums}
        channels_last_kernel[grid](maps, bands, flat_bias, out, sums, *shape, **flags, **config)
        return sums

    with on_device_of(x):
        case = ("channels_last", x.dtype, n, channels, height, width, size)
        candidates = channels_last_configs(n, channels, height, width)
        sums = launch(config or launch_config(case, x.device, candidates, launch))
    return out.contiguous(memory_format=memory_format(x)), sums
