"""Ground truth: the depthwise convolution by its definition, for tests and benchmarks."""

import torch
import torch.nn.functional as F
from torch import Tensor


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
