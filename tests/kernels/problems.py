"""What the tests of kernels share: problems, their ground truth, and memory that shows what was not written."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from kernels.fused_block import BlockWeights
from kernels.layout import memory_format
from kernels.reference import reference_depthwise_conv2d

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
# Of the largest output: float32 sums, and one rounding of the output on top.
TOLERANCE = {torch.float32: 2e-6, torch.float16: 6e-4, torch.bfloat16: 8e-3}

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype).to(DEVICE)


def problem(
    n: int, channels: int, height: int, width: int, size: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    """Map, kernel and bias."""
    return (
        drawn(n, channels, height, width, dtype=dtype),
        drawn(channels, 1, size, size, dtype=dtype),
        drawn(channels, dtype=dtype),
    )


def block_weights(channels: int, size: int, dtype: torch.dtype = torch.float32) -> BlockWeights:
    """Of a size that keeps the outputs of every step near one, so that none of them hides in another's rounding."""
    hidden, reduced = 4 * channels, max(1, channels // 4)

    def part(*shape: int, fan_in: int = 1) -> Tensor:
        return (drawn(*shape) / fan_in**0.5).to(dtype)

    return BlockWeights(
        taps=part(channels, 1, size, size, fan_in=size**2),
        taps_bias=part(channels),
        down=part(reduced, channels, fan_in=channels),
        down_bias=part(reduced),
        up=part(channels, reduced, fan_in=reduced),
        up_bias=part(channels),
        expand=part(hidden, channels, fan_in=channels),
        expand_bias=part(hidden),
        gamma=part(hidden),
        eps=1e-6,
        project=part(channels, hidden, fan_in=hidden),
        project_bias=part(channels),
    )


def error(found: Tensor, expected: Tensor) -> float:
    """Largest difference, as a part of the largest value."""
    return ((found.detach().double() - expected.double()).abs().max() / expected.double().abs().max()).item()


def assert_convolved(found: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> None:
    """`found` is the convolution, written everywhere, in the map's dtype and memory format."""
    assert found.dtype is x.dtype
    assert memory_format(found) is memory_format(x)
    assert error(found, reference_depthwise_conv2d(x, weight, bias)) < TOLERANCE[x.dtype]


@contextmanager
def poisoned() -> Iterator[None]:
    """`torch.empty` gives NaN: an output that a kernel leaves out, or a partial sum that it makes up, stands out."""
    empty = torch.empty

    def nan(*args: object, **options: object) -> Tensor:
        made: Tensor = empty(*args, **options)  # type: ignore[call-overload]
        return made.fill_(torch.nan)

    with patch("torch.empty", nan):
        yield
