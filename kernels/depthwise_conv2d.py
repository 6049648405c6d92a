"""Depthwise convolution with "same" padding: one public op, the backend is chosen by the tensors."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.plane import plane_depthwise_conv2d

LARGEST_CONTIGUOUS_KERNEL = 13
LARGEST_PLANE = 144  # positions; beyond, the dense matrix does more work than the kernel's taps


def depthwise_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, dilation: int = 1) -> Tensor:
    """Convolve every channel with its own kernel; the map keeps its size.

    x: (N, C, H, W); weight: (C, 1, K, K) with odd K; bias: (C,) or None. Returns (N, C, H, W).
    Raises ValueError for an even or rectangular kernel.
    """
    height, width = weight.shape[-2:]
    if height != width or height % 2 == 0:
        raise ValueError(f"kernel is {height}x{width}, expected a square of odd size, such as 13x13")
    if trains_on_cpu(x, weight) and bias is None and x.shape[2] * x.shape[3] <= LARGEST_PLANE:
        return plane_depthwise_conv2d(x, weight, dilation)
    # oneDNN falls from its depthwise kernel to a GEMM per channel, over 20 times slower, where a contiguous map
    # meets a kernel beyond 13x13; the channels-last path has no such cliff.
    if x.device.type == "cpu" and height > LARGEST_CONTIGUOUS_KERNEL:
        x = x.contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, weight, bias, padding=dilation * (height - 1) // 2, dilation=dilation, groups=x.shape[1])


def trains_on_cpu(x: Tensor, weight: Tensor) -> bool:
    return x.device.type == "cpu" and weight.requires_grad and torch.is_grad_enabled()
