"""The time below which no kernel of this project's kind computes a network: a sum over layers.

A layer takes as long as its bytes or its operations, whichever is longer. A convolution reads its map and writes the
next, norms cost nothing, and a block moves what its fused form must: 13 numbers for each of its input's (two by the
depthwise convolution, five by each linear layer, one for the residual). A batch of one may be faster than this where
maps never leave the cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from benchmarks.peaks import Peaks
from models.config import BackboneConfig

BLOCK_PASSES = 13
EXPANSION = 4


@dataclass(frozen=True)
class LayerWork:
    """numbers: read and written. multiply_adds: with every tap counted."""

    numbers: int
    multiply_adds: int

    def ms(self, peaks: Peaks, dtype: torch.dtype) -> float:
        return peaks.ms(self.numbers * dtype.itemsize, 2 * self.multiply_adds, dtype)


def floor_ms(config: BackboneConfig, batch: int, side: int, dtype: torch.dtype, peaks: Peaks) -> float:
    return sum(layer.ms(peaks, dtype) for layer in layers(config, batch, side))


def layers(config: BackboneConfig, batch: int, side: int) -> Iterator[LayerWork]:
    """Of the backbone; what a head does beside it is nothing."""
    first, side = side, half(side)
    yield halving(batch, config.in_chans, config.dims[0] // 2, first)
    channels = config.dims[0] // 2
    for dim, sizes in zip(config.dims, config.kernel_sizes, strict=True):
        yield halving(batch, channels, dim, side)
        channels, side = dim, half(side)
        yield from (block(batch, dim, size, side) for size in sizes)


def half(side: int) -> int:
    return (side + 1) // 2


def halving(batch: int, in_chans: int, out_chans: int, side: int) -> LayerWork:
    """A convolution of 3 x 3 with stride 2."""
    positions = batch * half(side) ** 2
    weights = 9 * in_chans * out_chans
    return LayerWork(batch * in_chans * side**2 + positions * out_chans + weights, positions * weights)


def block(batch: int, dim: int, size: int, side: int) -> LayerWork:
    positions, weights = batch * side**2, 2 * EXPANSION * dim**2 + dim * size**2
    return LayerWork(BLOCK_PASSES * positions * dim + weights, positions * weights)
