# mypy: disable-error-code="no-untyped-def, untyped-decorator, assignment"
"""The small layers between the large ones: numbers per sample and channel, made of sums that were taken in parts.

The gate of squeeze-excite is two launches of one kernel and the factor of the response norm is one, where torch has six
and five: at a batch of one a launch costs more than the work. All of it is in float32.
"""

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.blocks import ceil_div
from kernels.launch import Config, on_device_of

LARGEST_BLOCK = 8192  # numbers that a program holds at a time
GATE_COLUMNS = 16
GATE_CONFIGS: tuple[Config, ...] = ({"num_warps": 8}, {"num_warps": 4})


@triton.jit
def sum_of_parts(
    parts_ptr,  # (PARTS, C) of one sample, float32
    PARTS: tl.constexpr,
    C: tl.constexpr,
    BLOCK: tl.constexpr,  # parts
    CHANNELS: tl.constexpr,  # covers C
):
    """(CHANNELS,), zeros behind C."""
    c = tl.arange(0, CHANNELS)
    sums = tl.zeros((CHANNELS,), tl.float32)
    for first in range(0, PARTS, BLOCK):
        part = first + tl.arange(0, BLOCK)
        inside = (part < PARTS)[:, None] & (c < C)[None, :]
        sums += tl.sum(tl.load(parts_ptr + part[:, None] * C + c[None, :], mask=inside, other=0.0), axis=0)
    return sums


@triton.jit
def gate_kernel(
    parts_ptr,  # (N, PARTS, C), float32
    weight_ptr,  # (OUT, C)
    bias_ptr,  # (OUT,)
    out_ptr,  # (N, OUT), float32
    factor,
    PARTS: tl.constexpr,
    C: tl.constexpr,
    OUT: tl.constexpr,
    SIGMOID: tl.constexpr,  # or else ReLU
    COLUMNS: tl.constexpr,
    BLOCK: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """activation(weight @ (factor * sum of the parts) + bias): COLUMNS of its rows."""
    column_tiles: tl.constexpr = (OUT + COLUMNS - 1) // COLUMNS
    tile = tl.program_id(0)
    row = tile % column_tiles * COLUMNS + tl.arange(0, COLUMNS)
    n = (tile // column_tiles).to(tl.int64)
    c = tl.arange(0, CHANNELS)
    x = factor * sum_of_parts(parts_ptr + n * (PARTS * C), PARTS, C, BLOCK, CHANNELS)
    inside = (row < OUT)[:, None] & (c < C)[None, :]
    weight = tl.load(weight_ptr + row[:, None] * C + c[None, :], mask=inside, other=0.0).to(tl.float32)
    y = tl.sum(weight * x[None, :], axis=1)
    y += tl.load(bias_ptr + row, mask=row < OUT, other=0.0).to(tl.float32)
    y = tl.sigmoid(y) if SIGMOID else tl.maximum(y, 0.0)
    tl.store(out_ptr + n * OUT + row, y, mask=row < OUT)


@triton.jit
def response_kernel(
    parts_ptr,  # (N, PARTS, C), float32
    gamma_ptr,  # (C,)
    out_ptr,  # (N, C), float32
    eps,
    PARTS: tl.constexpr,
    C: tl.constexpr,
    BLOCK: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    n = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, CHANNELS)
    response = tl.sqrt(sum_of_parts(parts_ptr + n * (PARTS * C), PARTS, C, BLOCK, CHANNELS))
    mean = tl.sum(response, axis=0) / C
    gamma = tl.load(gamma_ptr + c, mask=c < C, other=0.0).to(tl.float32)
    tl.store(out_ptr + n * C + c, 1.0 + gamma * response / (mean + eps), mask=c < C)


def gate(
    parts: Tensor, down: Tensor, down_bias: Tensor, up: Tensor, up_bias: Tensor, positions: int, config: Config
) -> Tensor:
    """Squeeze-excite's gate from the sums of a map over its positions, in parts.

    parts: (N, parts, C) float32; down: (R, C); up: (C, R). Returns (N, C) float32, from 0 to 1.
    """
    hidden = _gate_layer(parts, down, down_bias, 1.0 / positions, config, sigmoid=False)
    return _gate_layer(hidden[:, None], up, up_bias, 1.0, config, sigmoid=True)


def _gate_layer(parts: Tensor, weight: Tensor, bias: Tensor, factor: float, config: Config, sigmoid: bool) -> Tensor:
    n, count, channels = parts.shape
    out = torch.empty((n, len(weight)), dtype=torch.float32, device=parts.device)
    blocks = part_blocks(count, channels)
    columns = gate_columns(blocks)
    grid = (n * ceil_div(len(weight), columns),)
    shape = (count, channels, len(weight), sigmoid, columns)
    with on_device_of(parts):
        gate_kernel[grid](parts, weight.contiguous(), bias.contiguous(), out, factor, *shape, **blocks, **config)
    return out


def respond(parts: Tensor, gamma: Tensor, eps: float, config: Config) -> Tensor:
    """The response norm's factor from the sums of squares of a map over its positions, in parts.

    parts: (N, parts, C) float32; gamma: (C,). Returns (N, C) float32: 1 + gamma * response / mean response.
    """
    n, count, channels = parts.shape
    out = torch.empty((n, channels), dtype=torch.float32, device=parts.device)
    with on_device_of(parts):
        response_kernel[(n,)](
            parts, gamma.contiguous(), out, eps, count, channels, **part_blocks(count, channels), **config
        )
    return out


@lru_cache(maxsize=1024)
def part_blocks(count: int, channels: int) -> Config:
    covering = triton.next_power_of_2(channels)
    return {"BLOCK": max(1, min(triton.next_power_of_2(count), LARGEST_BLOCK // covering)), "CHANNELS": covering}


def gate_columns(blocks: Config) -> int:
    """Rows of the weight that a program multiplies."""
    return max(1, min(GATE_COLUMNS, LARGEST_BLOCK // blocks["CHANNELS"]))


def gate_configs(*_: object) -> tuple[Config, ...]:
    return GATE_CONFIGS
