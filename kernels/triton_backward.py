# mypy: disable-error-code="no-untyped-def, untyped-decorator, assignment"
"""Gradients of the depthwise convolution on CUDA cores.

The gradient of the map is the convolution of the incoming gradient with the kernel turned by 180 degrees. The gradient
of a tap is the sum of products of the incoming gradient and the map, shifted by the tap. The kernel below slides as the
forward one does, with the parts exchanged: COLUMNS columns of the incoming gradient stay in registers, the K sums of
one kernel row are the accumulators, and every column of the map is loaded once. Programs share the samples and rows
out among themselves, write partial sums, and a second stage adds those: no atomics, so gradients repeat bit by bit.
"""

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.blocks import ceil_div, channel_blocks, even_columns
from kernels.launch import Config, on_device_of
from kernels.triton_slide import slide
from kernels.tuning import launch_config

PROGRAMS = 1056  # eight for each multiprocessor of an H100


@triton.jit(do_not_specialize=["H", "strips", "strips_per_part"])  # counts: nothing is aligned to them
def tap_gradient_kernel(
    x_ptr,  # (N, H, W, C)
    grad_ptr,  # (N, H, W, C)
    partial_ptr,  # (parts, K, K, C), float32
    H,
    strips,  # N * row tiles * column tiles
    strips_per_part,
    W: tl.constexpr,
    C: tl.constexpr,
    K: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    REACH: tl.constexpr = K // 2
    column_tiles: tl.constexpr = (W + COLUMNS - 1) // COLUMNS
    channel_tiles: tl.constexpr = (C + CHANNELS - 1) // CHANNELS
    row_tiles = tl.cdiv(H, ROWS)
    tile = tl.program_id(0)
    c = tile % channel_tiles * CHANNELS + tl.arange(0, CHANNELS)
    k = tile // channel_tiles % K
    part = tile // channel_tiles // K
    c_inside = (c < C)[None, :]

    sums = (tl.zeros((ROWS, CHANNELS), tl.float32),) * K
    strip = part * strips_per_part
    end = tl.minimum(strip + strips_per_part, strips)
    while strip < end:
        w0 = strip % column_tiles * COLUMNS
        h = strip // column_tiles % row_tiles * ROWS + tl.arange(0, ROWS)
        first = (strip // column_tiles // row_tiles).to(tl.int64) * H * W * C
        source = h + k - REACH
        inside = ((h < H) & (source >= 0) & (source < H))[:, None] & c_inside
        grad_row = grad_ptr + first + (h * W + w0)[:, None] * C + c[None, :]
        grads = ()
        for o in tl.static_range(COLUMNS):
            grad = tl.load(grad_row + o * C, mask=inside & (w0 + o < W), other=0.0)
            grads = grads + (grad.to(tl.float32),)
        x_row = x_ptr + first + (source * W + w0)[:, None] * C + c[None, :]
        sums = slide(sums, grads, x_row, inside, w0, W, C, REACH, K, COLUMNS, COLUMNS)
        strip += 1

    target = partial_ptr + (part * K + k) * (K * C) + c
    for t in tl.static_range(K):
        tl.store(target + t * C, tl.sum(sums[t], axis=0), mask=c < C)


def tap_gradient(grad: Tensor, x: Tensor, size: int, config: Config | None = None) -> Tensor:
    """grad, x: (N, C, H, W) of float32, float16 or bfloat16 -> gradient of the taps, (C, 1, size, size) float32."""
    n, channels, height, width = x.shape
    maps, grads = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, grad))

    def launch(config: Config) -> Tensor:
        strips = n * ceil_div(height, config["ROWS"]) * ceil_div(width, config["COLUMNS"])
        programs = size * ceil_div(channels, config["CHANNELS"])
        each = max(1, ceil_div(strips, max(1, PROGRAMS // programs)))  # an empty batch has no parts, which add up to 0
        parts = ceil_div(strips, each)
        partial = torch.empty((parts, size, size, channels), dtype=torch.float32, device=x.device)
        shape = (height, strips, each, width, channels, size)
        tap_gradient_kernel[(programs * parts,)](maps, grads, partial, *shape, **config)
        return partial

    with on_device_of(x):
        case = ("tap gradient", x.dtype, n, channels, height, width, size)
        partial = launch(config or launch_config(case, x.device, gradient_configs(channels, width, size), launch))
    return partial.sum(dim=0).permute(2, 0, 1)[:, None]


@lru_cache(maxsize=1024)
def gradient_configs(channels: int, width: int, size: int) -> tuple[Config, ...]:
    """Block sizes worth trying, the default first. Large kernels keep more sums, so they hold fewer columns."""
    most = 16 if size <= 16 else 8
    return tuple(
        {"ROWS": 4, "COLUMNS": even_columns(width, columns), "CHANNELS": block, "num_warps": block // 16}
        for columns in (most, most // 2)
        for block in channel_blocks(channels)
    )
