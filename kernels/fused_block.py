"""The block at inference as five steps, which pass no map between them but what a linear layer must read or write.

Per element of the block's input, eager float32 moves 192 bytes of activations and torch.compile in half precision 60
(counted, not measured); the five steps fused move 26: two passes for the convolution, five for each linear layer with
its four times wider side, and one for the residual. Statistics go between them as a few numbers per channel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.fusions import run


@dataclass(frozen=True)
class BlockWeights:
    """Of a block in deploy form; C channels, D = 4 C hidden ones, R = C / 4 within the gate, odd K.

    taps: (C, 1, K, K) and (C,). down: (R, C) and (R,). up: (C, R) and (C,). expand: (D, C) and (D,). gamma: (D,), and
    eps, of the response norm. project: (C, D) and (C,).
    """

    taps: Tensor
    taps_bias: Tensor
    down: Tensor
    down_bias: Tensor
    up: Tensor
    up_bias: Tensor
    expand: Tensor
    expand_bias: Tensor
    gamma: Tensor
    eps: float
    project: Tensor
    project_bias: Tensor


def fused_block(x: Tensor, weights: BlockWeights) -> Tensor:
    """x: (N, C, H, W) -> the same shape and dtype, channels-last. What of it runs fused, `kernels.fusions` decides."""
    w = weights
    n, channels, height, width = x.shape
    x = x.contiguous(memory_format=torch.channels_last)
    y, sums = run("squeeze", x, w.taps, w.taps_bias)
    gate = run("gate", sums, w.down, w.down_bias, w.up, w.up_bias, height * width)
    hidden, squares = run("expand", rows(y), w.expand, w.expand_bias, gate)
    scale = run("respond", squares, w.gamma, w.eps)
    out: Tensor = run("project", hidden, w.project, w.project_bias, scale, rows(x))
    return out.view(n, height, width, channels).permute(0, 3, 1, 2)


def rows(x: Tensor) -> Tensor:
    """(N, C, H, W), channels-last -> (N, H * W, C), the same memory."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def channel_layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float, gelu: bool = False) -> Tensor:
    """Layer norm over the channels of every position, and GELU behind it. x: (N, C, H, W); keeps it, channels-last."""
    out: Tensor = run("norm", x.contiguous(memory_format=torch.channels_last), weight, bias, eps, gelu)
    return out
