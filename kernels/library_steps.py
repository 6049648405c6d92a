"""The steps of a block by the library: what each fused kernel is measured against, and what runs where none is faster.

Maps are (N, C, H, W) and channels-last, rows of their positions (N, P, C). Sums come in parts, (N, parts, C) in
float32, which here is always one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.depthwise_conv2d import depthwise_conv2d


def squeeze(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The depthwise convolution of a map, and the sums of its channels over all positions."""
    y = depthwise_conv2d(x, weight, bias).contiguous(memory_format=torch.channels_last)
    return y, y.sum((2, 3), dtype=torch.float32)[:, None]


def gate(parts: Tensor, down: Tensor, down_bias: Tensor, up: Tensor, up_bias: Tensor, positions: int) -> Tensor:
    """Squeeze-excite's gate, (N, C) float32, from the sums of a map over its positions."""
    mean = (parts.sum(dim=1) / positions).to(down.dtype)
    return F.linear(F.relu(F.linear(mean, down, down_bias)), up, up_bias).sigmoid().float()


def expand(x: Tensor, weight: Tensor, bias: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
    """GELU of the linear layer of the gated rows, and its sums of squares over positions."""
    hidden = F.gelu(F.linear(x * gate[:, None].to(x.dtype), weight, bias))
    return hidden, torch.linalg.vector_norm(hidden, dim=1, keepdim=True, dtype=torch.float32).square()


def respond(parts: Tensor, gamma: Tensor, eps: float) -> Tensor:
    """The response norm's factor, (N, C) float32, from the sums of squares."""
    response = parts.sum(dim=1).sqrt()
    return 1 + gamma.float() * response / (response.mean(dim=-1, keepdim=True) + eps)


def project(x: Tensor, weight: Tensor, bias: Tensor, scale: Tensor, residual: Tensor) -> Tensor:
    """The linear layer of the scaled rows, plus the residual."""
    return residual + F.linear(x * scale[:, None].to(x.dtype), weight, bias)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float, gelu: bool) -> Tensor:
    """Layer norm over the channels of every position of a map, and GELU behind it."""
    y = F.layer_norm(x.permute(0, 2, 3, 1), weight.shape, weight, bias, eps)
    return (F.gelu(y) if gelu else y).permute(0, 3, 1, 2)
