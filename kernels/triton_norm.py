# mypy: disable-error-code="no-untyped-def, untyped-decorator, assignment"
"""Layer norm over the channels of a channels-last map, and GELU behind it: one pass over memory.

A program normalizes ROWS positions, where libraries give a whole thread block to the few channels of one.
"""

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.blocks import ceil_div
from kernels.launch import Config, on_device_of
from kernels.triton_linear import gelu

BLOCKS = (4096, 2048)  # numbers that a program of four warps holds
MOST_ROWS = 64


@triton.jit(do_not_specialize=["P"])
def norm_kernel(
    x_ptr,  # (P, C)
    weight_ptr,  # (C,)
    bias_ptr,  # (C,)
    out_ptr,  # (P, C)
    P,
    eps,
    C: tl.constexpr,
    GELU: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,  # covers C
):
    p = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.arange(0, CHANNELS)
    c_inside = c < C
    inside = (p < P)[:, None] & c_inside[None, :]
    place = p[:, None] * C + c[None, :]
    x = tl.load(x_ptr + place, mask=inside, other=0.0).to(tl.float32)
    mean = tl.sum(x, axis=1) / C
    x = tl.where(c_inside[None, :], x - mean[:, None], 0.0)
    deviation = tl.sqrt(tl.sum(x * x, axis=1) / C + eps)
    weight = tl.load(weight_ptr + c, mask=c_inside, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + c, mask=c_inside, other=0.0).to(tl.float32)
    y = x / deviation[:, None] * weight[None, :] + bias[None, :]
    if GELU:
        y = gelu(y)
    tl.store(out_ptr + place, y.to(out_ptr.dtype.element_ty), mask=inside)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float, gelu: bool, config: Config) -> Tensor:
    """x: (N, C, H, W), channels-last; weight, bias: (C,). Returns the same shape, dtype and format."""
    n, channels, height, width = x.shape
    positions = n * height * width
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    with on_device_of(x):
        grid = (ceil_div(positions, config["ROWS"]),)
        norm_kernel[grid](x, weight.contiguous(), bias.contiguous(), out, positions, eps, channels, gelu, **config)
    return out


def norm_configs(x: Tensor, *_: object) -> tuple[Config, ...]:
    """Block sizes worth trying, the default first."""
    return blocks_for(x.shape[1])


@lru_cache(maxsize=1024)
def blocks_for(channels: int) -> tuple[Config, ...]:
    covering = triton.next_power_of_2(channels)
    rows = (max(1, min(MOST_ROWS, block // covering)) for block in BLOCKS)
    return tuple({"ROWS": each, "CHANNELS": covering, "num_warps": 4} for each in dict.fromkeys(rows))
