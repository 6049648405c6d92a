# mypy: disable-error-code="no-untyped-def, untyped-decorator, assignment"
"""The depthwise convolution on CUDA cores: a channels-last kernel that slides along rows.

A program computes ROWS x COLUMNS positions of CHANNELS channels. Its accumulators, one per output column, and the taps
of one kernel row stay in registers; every column of the map is loaded once per kernel row and meets each of up to K
taps. Kernel rows that fall outside the map for the whole program are skipped, as are the columns left and right of a
map that one program spans. Accumulation is in float32 in a fixed order, so results repeat bit by bit.
"""

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.blocks import ceil_div, channel_blocks, even_columns
from kernels.launch import Config, on_device_of
from kernels.layout import memory_format
from kernels.packing import packed
from kernels.triton_slide import slide
from kernels.tuning import launch_config

BUSY = 264  # programs; fewer leave multiprocessors of an H100 (132) idle


@triton.jit(do_not_specialize=["H"])
def sliding_kernel(
    x_ptr,  # (N, H, W, C)
    taps_ptr,  # (K, K, C), float32
    bias_ptr,  # (C,)
    out_ptr,  # (N, H, W, C)
    sums_ptr,  # (N, row tiles, column tiles, C), float32
    H,
    W: tl.constexpr,
    C: tl.constexpr,
    K: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    WITH_SUMS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    REACH: tl.constexpr = K // 2
    row_tiles = tl.cdiv(H, ROWS)
    column_tiles: tl.constexpr = (W + COLUMNS - 1) // COLUMNS
    channel_tiles: tl.constexpr = (C + CHANNELS - 1) // CHANNELS
    tile = tl.program_id(0)
    c = tile % channel_tiles * CHANNELS + tl.arange(0, CHANNELS)
    tile = tile // channel_tiles
    w0 = tile % column_tiles * COLUMNS
    row_tile = tile // column_tiles % row_tiles
    h0 = row_tile * ROWS
    n = (tile // column_tiles // row_tiles).to(tl.int64)

    h = h0 + tl.arange(0, ROWS)
    c_inside = c < C
    x_ptr += n * H * W * C
    out_ptr += n * H * W * C
    start = tl.zeros((ROWS, CHANNELS), tl.float32)
    if HAS_BIAS:
        start += tl.load(bias_ptr + c, mask=c_inside, other=0.0).to(tl.float32)[None, :]
    sums = (start,) * COLUMNS

    i = tl.maximum(REACH - h0 - ROWS + 1, 0)
    end = tl.minimum(H - h0 + REACH, K)
    while i < end:  # kernel rows; a `range` of tensors does not run in the interpreter with NumPy 2.4
        taps = ()
        for j in tl.static_range(K):
            tap = tl.load(taps_ptr + i * (K * C) + c + j * C, mask=c_inside, other=0.0)
            taps = taps + (tap[None, :],)
        source = h + i - REACH
        inside = ((source >= 0) & (source < H))[:, None] & c_inside[None, :]
        row = x_ptr + (source * W + w0)[:, None] * C + c[None, :]
        sums = slide(sums, taps, row, inside, w0, W, C, REACH, COLUMNS, K, COLUMNS)
        i += 1

    row = out_ptr + (h * W + w0)[:, None] * C + c[None, :]
    inside = (h < H)[:, None] & c_inside[None, :]
    total = tl.zeros((ROWS, CHANNELS), tl.float32)
    for o in tl.static_range(COLUMNS):
        column_inside = inside & (w0 + o < W)
        tl.store(row + o * C, sums[o].to(out_ptr.dtype.element_ty), mask=column_inside)
        if WITH_SUMS:
            total += tl.where(column_inside, sums[o], 0.0)
    if WITH_SUMS:
        slot = (n * row_tiles + row_tile) * column_tiles + w0 // COLUMNS
        tl.store(sums_ptr + slot * C + c, tl.sum(total, axis=0), mask=c_inside)


def sliding_depthwise_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, config: Config | None = None
) -> Tensor:
    """x: (N, C, H, W) of float32, float16 or bfloat16; weight: (C, 1, K, K), odd K; bias: (C,). Keeps x's layout.

    Made for channels-last; a contiguous map is converted, and the output back. config: default by the tables.
    """
    return _convolve(x, weight, bias, config, with_sums=False)[0]


def sliding_depthwise_conv2d_with_sums(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, config: Config | None = None
) -> tuple[Tensor, Tensor]:
    """As `sliding_depthwise_conv2d`, and with it the sums of every channel of the output over its positions, in parts:
    (N, parts, C), float32.

    Taken before the output is rounded, and without atomics: what squeeze-excite begins with.
    """
    return _convolve(x, weight, bias, config, with_sums=True)


def _convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, config: Config | None, with_sums: bool
) -> tuple[Tensor, Tensor]:
    n, channels, height, width = x.shape
    size = weight.shape[-1]
    maps = x.contiguous(memory_format=torch.channels_last)
    taps = packed(weight, ("sliding",), channels_last_taps)
    bias = None if bias is None else bias.contiguous()
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)

    def launch(config: Config) -> Tensor:
        tiles = ceil_div(height, config["ROWS"]) * ceil_div(width, config["COLUMNS"])
        sums = torch.empty((n, tiles, channels) if with_sums else 0, dtype=torch.float32, device=x.device)
        grid = (n * tiles * ceil_div(channels, config["CHANNELS"]),)
        flags = {"HAS_BIAS": bias is not None, "WITH_SUMS": with_sums}
        sliding_kernel[grid](maps, taps, bias, out, sums, height, width, channels, size, **flags, **config)
        return sums

    with on_device_of(x):
        case = ("sliding", x.dtype, n, channels, height, width, size)
        chosen = config or launch_config(case, x.device, sliding_configs(n, channels, height, width), launch)
        sums = launch(chosen)
    return out.contiguous(memory_format=memory_format(x)), sums


def channels_last_taps(weight: Tensor) -> Tensor:
    """(C, 1, K, K) -> (K, K, C) in float32: one row of memory per tap, and no conversion in the inner loop."""
    return weight[:, 0].permute(1, 2, 0).float().contiguous()


@lru_cache(maxsize=1024)
def sliding_configs(n: int, channels: int, height: int, width: int) -> tuple[Config, ...]:
    """Block sizes worth trying, the default first: the largest blocks that still fill a device, two rows per thread."""
    configs: list[Config] = [
        {"ROWS": 4, "COLUMNS": columns, "CHANNELS": block, "num_warps": block // 16}
        for columns in dict.fromkeys(even_columns(width, most) for most in (16, 8, 4))
        for block in channel_blocks(channels)
    ]
    return tuple(sorted(configs, key=lambda config: programs(config, n, channels, height, width) < BUSY))


def programs(config: Config, n: int, channels: int, height: int, width: int) -> int:
    tiles = ceil_div(height, config["ROWS"]) * ceil_div(width, config["COLUMNS"])
    return n * tiles * ceil_div(channels, config["CHANNELS"])
