# mypy: disable-error-code="no-untyped-def, untyped-decorator"
"""Between channels-last maps and padded planes: transposed through a tile, so that both sides are read in order."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.blocks import ceil_div

POSITIONS, CHANNELS = 64, 32


@triton.jit
def planes_kernel(
    x_ptr,  # (N, C, H, W) with these strides
    planes_ptr,  # (N, C, H, STRIDE)
    C,
    H,
    W,
    stride_n,
    stride_c,
    stride_h,
    stride_w,
    LEFT: tl.constexpr,
    STRIDE: tl.constexpr,
    POSITIONS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    position_tiles = tl.cdiv(H * STRIDE, POSITIONS)
    channel_tiles = tl.cdiv(C, CHANNELS)
    tile = tl.program_id(0)
    p = tile % position_tiles * POSITIONS + tl.arange(0, POSITIONS)
    tile = tile // position_tiles
    c = tile % channel_tiles * CHANNELS + tl.arange(0, CHANNELS)
    n = (tile // channel_tiles).to(tl.int64)
    h = p // STRIDE
    w = p % STRIDE - LEFT
    inside = (h < H) & (w >= 0) & (w < W)
    # A stride may be as large as the memory: the products with it are taken in 64 bits
    position = h.to(tl.int64) * stride_h + w.to(tl.int64) * stride_w
    source = x_ptr + n * stride_n + position[:, None] + (c.to(tl.int64) * stride_c)[None, :]
    values = tl.load(source, mask=inside[:, None] & (c < C)[None, :], other=0.0)
    target = planes_ptr + (n * C + c)[:, None] * H * STRIDE + p[None, :]
    tl.store(target, tl.trans(values), mask=(c < C)[:, None] & (p < H * STRIDE)[None, :])


def padded_planes(x: Tensor, left: int, stride: int) -> Tensor:
    """x: (N, C, H, W) of any strides -> (N, C, H, stride), contiguous; x begins at column `left`, zeros around it.

    A contiguous map that needs no padding comes back as it is.
    """
    n, channels, height, width = x.shape
    if stride == width and x.is_contiguous():
        return x
    planes = torch.empty((n, channels, height, stride), dtype=x.dtype, device=x.device)
    grid = (n * ceil_div(channels, CHANNELS) * ceil_div(height * stride, POSITIONS),)
    blocks = {"LEFT": left, "STRIDE": stride, "POSITIONS": POSITIONS, "CHANNELS": CHANNELS}
    planes_kernel[grid](x, planes, channels, height, width, *x.stride(), **blocks)
    return planes
