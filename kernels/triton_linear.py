# mypy: disable-error-code="no-untyped-def, untyped-decorator, assignment"
"""The two linear layers of a block, with what stands around them folded in, on tensor cores.

A program multiplies ROWS positions of one sample with COLUMNS rows of the weight. Its input is scaled on the way in, by
a number per sample and channel: the gate of squeeze-excite before the first layer, the response norm before the second.
On the way out the first layer takes GELU, and the sums of squares that the response norm begins with; the second adds
the block's input. What lies between the layers is so written once and read once.

Products of halves are summed in float32; the scaled input is rounded to the map's dtype, as torch rounds it. Everything
is added in a fixed order and without atomics: each program writes its own sums of squares, and who reads them adds
them up.
"""

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.blocks import ceil_div
from kernels.launch import Config, on_device_of

SMALLEST_BLOCK = 16  # of tl.dot
LARGEST_OF_FOUR_WARPS = 64 * 128
LARGEST_OF_FOUR_WARPS_IN_FLOAT32 = 64 * 32
STAGES = 3
SQRT_HALF = tl.constexpr(0.7071067811865476)


@triton.jit
def gelu(x):
    """With the error function, as torch's default."""
    return 0.5 * x * (1.0 + tl.erf(x * SQRT_HALF))


@triton.jit(do_not_specialize=["P"])  # rows are aligned by IN and OUT
def linear_kernel(
    x_ptr,  # (N, P, IN)
    scale_ptr,  # (N, IN), float32
    weight_ptr,  # (OUT, IN)
    bias_ptr,  # (OUT,)
    residual_ptr,  # (N, P, OUT)
    out_ptr,  # (N, P, OUT)
    squares_ptr,  # (N, row tiles, OUT), float32
    P,
    IN: tl.constexpr,
    OUT: tl.constexpr,
    EXPANDS: tl.constexpr,  # GELU and sums of squares, or else the residual
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
):
    row_tiles = tl.cdiv(P, ROWS)
    column_tiles: tl.constexpr = (OUT + COLUMNS - 1) // COLUMNS
    tile = tl.program_id(0)  # neighbours share their positions, which stay in the cache
    c = tile % column_tiles * COLUMNS + tl.arange(0, COLUMNS)
    row_tile = tile // column_tiles % row_tiles
    n = (tile // column_tiles // row_tiles).to(tl.int64)
    p = row_tile * ROWS + tl.arange(0, ROWS)
    k = tl.arange(0, DEPTH)

    p_inside = (p < P)[:, None]
    c_inside = (c < OUT)[None, :]
    x = x_ptr + (n * P + p)[:, None] * IN + k[None, :]
    weight = weight_ptr + c[None, :] * IN + k[:, None]
    scale = scale_ptr + n * IN + k
    sums = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, IN, DEPTH):
        if IN % DEPTH == 0:
            a = tl.load(x + start, mask=p_inside, other=0.0)
            b = tl.load(weight + start, mask=c_inside, other=0.0)
            s = tl.load(scale + start)
        else:
            k_inside = start + k < IN
            a = tl.load(x + start, mask=p_inside & k_inside[None, :], other=0.0)
            b = tl.load(weight + start, mask=c_inside & k_inside[:, None], other=0.0)
            s = tl.load(scale + start, mask=k_inside, other=0.0)
        a = a * s.to(x_ptr.dtype.element_ty)[None, :]
        sums = tl.dot(a, b, sums, input_precision="ieee")
    sums += tl.load(bias_ptr + c, mask=c < OUT, other=0.0).to(tl.float32)[None, :]

    inside = p_inside & c_inside
    target = (n * P + p)[:, None] * OUT + c[None, :]
    if EXPANDS:
        sums = gelu(sums)
        squares = tl.sum(tl.where(p_inside, sums * sums, 0.0), axis=0)
        tl.store(squares_ptr + (n * row_tiles + row_tile) * OUT + c, squares, mask=c < OUT)
    else:
        sums += tl.load(residual_ptr + target, mask=inside, other=0.0).to(tl.float32)
    tl.store(out_ptr + target, sums.to(out_ptr.dtype.element_ty), mask=inside)


def expand(x: Tensor, weight: Tensor, bias: Tensor, gate: Tensor, config: Config) -> tuple[Tensor, Tensor]:
    """GELU of the linear layer of the gated map, and its sums of squares over positions, in parts.

    x: (N, P, C), contiguous; weight: (D, C); bias: (D,); gate: (N, C) float32. Returns (N, P, D) in x's dtype, and
    (N, parts, D) float32, taken before the output is rounded.
    """
    n, positions, _ = x.shape
    parts = ceil_div(positions, config["ROWS"])
    squares = torch.empty((n, parts, len(weight)), dtype=torch.float32, device=x.device)
    return _linear(x, weight, bias, gate, x, squares, config, expands=True), squares


def project(x: Tensor, weight: Tensor, bias: Tensor, scale: Tensor, residual: Tensor, config: Config) -> Tensor:
    """The linear layer of the scaled map, plus the residual.

    x: (N, P, D), contiguous; weight: (C, D); bias: (C,); scale: (N, D) float32; residual: (N, P, C), contiguous.
    Returns (N, P, C) in x's dtype.
    """
    return _linear(x, weight, bias, scale, residual, scale, config, expands=False)


def _linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    scale: Tensor,
    residual: Tensor,
    squares: Tensor,
    config: Config,
    expands: bool,
) -> Tensor:
    n, positions, channels = x.shape
    out = torch.empty((n, positions, len(weight)), dtype=x.dtype, device=x.device)
    grid = (n * ceil_div(positions, config["ROWS"]) * ceil_div(len(weight), config["COLUMNS"]),)
    tensors = (x, scale, weight.contiguous(), bias.contiguous(), residual, out, squares)
    with on_device_of(x):
        linear_kernel[grid](*tensors, positions, channels, len(weight), EXPANDS=expands, **config)
    return out


def linear_configs(x: Tensor, weight: Tensor, *_: object) -> tuple[Config, ...]:
    """Block sizes worth trying, the default first: large ones, and smaller ones that keep a device busy."""
    return blocks_for(x.dtype, x.shape[1], x.shape[2], len(weight))


@lru_cache(maxsize=1024)
def blocks_for(dtype: torch.dtype, positions: int, channels: int, outputs: int) -> tuple[Config, ...]:
    """More accumulators for a thread, 128 x 128 of them with four warps or 128 x 256 with eight, spill to the stack.

    float32 is multiplied without tensor cores, out of registers that hold both factors as well: half as many.
    """
    wide = dtype is torch.float32
    most_rows, most_depth = (64, 32) if wide else (128, 64)
    most_of_four = LARGEST_OF_FOUR_WARPS_IN_FLOAT32 if wide else LARGEST_OF_FOUR_WARPS
    rows, columns, depth = _block(positions, most_rows), _block(outputs, 128), _block(channels, most_depth)
    shapes = ((rows, columns), (min(rows, 64), columns), (min(rows, 64), min(columns, 64)))
    return tuple(
        {"ROWS": r, "COLUMNS": c, "DEPTH": depth, "num_warps": 8 if r * c > most_of_four else 4, "num_stages": STAGES}
        for r, c in dict.fromkeys(shapes)
    )


def _block(length: int, most: int) -> int:
    """The power of two that covers a length, within the limits."""
    covering: int = triton.next_power_of_2(length)
    return max(SMALLEST_BLOCK, min(covering, most))
