"""Depthwise convolution with "same" padding: one public function, one operator, the backend chosen by the tensors."""

import torch
from torch import Tensor

from kernels.backends import BACKENDS
from kernels.dispatch import choose
from kernels.operator import depthwise_conv2d_op


def depthwise_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, dilation: int = 1) -> Tensor:
    """Convolve every channel with its own kernel; the map keeps its size.

    x: (N, C, H, W); weight: (C, 1, K, K) with odd K; bias: (C,) or None. Returns (N, C, H, W). Half precision is
    summed in float32. Under autocast the tensors are cast, as for torch's convolutions.
    Raises ValueError for an even or rectangular kernel.
    """
    height, width = weight.shape[-2:]
    if height != width or height % 2 == 0:
        raise ValueError(f"kernel is {height}x{width}, expected a square of odd size, such as 13x13")
    if torch.compiler.is_compiling():
        return depthwise_conv2d_op(x, weight, bias, dilation)
    backend = BACKENDS[choose(x, weight, bias, dilation)]
    if backend.differentiable or not _needs_dispatcher(x, weight, bias):
        return backend.run(x, weight, bias, dilation)
    return depthwise_conv2d_op(x, weight, bias, dilation)


def _needs_dispatcher(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Eager inference calls its kernel directly: the operator's own cost is that of a small convolution."""
    if torch.is_autocast_enabled(x.device.type):
        return True
    given = (x, weight) if bias is None else (x, weight, bias)
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given)
