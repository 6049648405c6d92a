"""Ground truth: the convolution, the block and the norm by their definitions, for tests and benchmarks."""

from dataclasses import replace
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.fused_block import BlockWeights


def reference_depthwise_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, dilation: int = 1, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Every tap times the map, shifted by the tap's distance from the centre, summed in `dtype`; differentiable.

    x: (N, C, H, W); weight: (C, 1, K, K) with odd K; bias: (C,) or None. Returns (N, C, H, W) in `dtype`.
    """
    maps, taps = x.to(dtype), weight.to(dtype)[:, 0, :, :, None, None]
    size, (height, width) = weight.shape[-1], x.shape[-2:]
    padded = F.pad(maps, [dilation * (size // 2)] * 4)
    out = torch.zeros_like(maps) if bias is None else bias.to(dtype)[:, None, None].expand_as(maps)
    for i in range(size):
        for j in range(size):
            shifted = padded[:, :, i * dilation :, j * dilation :][:, :, :height, :width]
            out = out + shifted * taps[:, i, j]
    return out


def reference_block(x: Tensor, weights: BlockWeights, dtype: torch.dtype = torch.float64) -> Tensor:
    """The block in deploy form, step by step in `dtype` (paper, Figure 2). x: (N, C, H, W) -> the same shape."""
    tensors = {name: item.to(dtype) for name, item in vars(weights).items() if isinstance(item, Tensor)}
    w = replace(weights, **cast(dict[str, Any], tensors))
    y = reference_depthwise_conv2d(x, w.taps, w.taps_bias, dtype=dtype)
    gate = (((y.mean((2, 3)) @ w.down.T + w.down_bias).clamp(min=0) @ w.up.T) + w.up_bias).sigmoid()
    hidden = _gelu((y * gate[:, :, None, None]).permute(0, 2, 3, 1) @ w.expand.T + w.expand_bias)
    response = hidden.square().sum((1, 2), keepdim=True).sqrt()
    hidden = hidden * (1 + w.gamma * response / (response.mean(dim=-1, keepdim=True) + w.eps))
    return x.to(dtype) + (hidden @ w.project.T + w.project_bias).permute(0, 3, 1, 2)


def reference_layer_norm(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, gelu: bool = False, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Over the channels of every position of x, (N, C, H, W), in `dtype`; then GELU, where asked for."""
    x, weight, bias = x.to(dtype), weight.to(dtype)[:, None, None], bias.to(dtype)[:, None, None]
    centred = x - x.mean(dim=1, keepdim=True)
    y = centred / (centred.square().mean(dim=1, keepdim=True) + eps).sqrt() * weight + bias
    return _gelu(y) if gelu else y


def _gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x * 0.5**0.5)) / 2
