"""Depthwise convolution with "same" padding: one public function, one operator, the backend chosen by the tensors."""

import torch
from torch import Tensor

from kernels.arguments import check_arguments
from kernels.backends import BACKENDS
from kernels.dispatch import choose
from kernels.operator import depthwise_conv2d_op
from kernels.transforms import transformed


def depthwise_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, dilation: int = 1) -> Tensor:
    """Convolve every channel with its own kernel; the map keeps its size.

    x: (N, C, H, W), N from 0 on; weight: (C, 1, K, K) with odd K; bias: (C,) or None. Returns (N, C, H, W). Half
    precision is summed in float32. Gradients of any order exist, and so do torch.func's transforms. Under autocast the
    tensors are cast, as for torch's convolutions; elsewhere they share one dtype.
    Raises ValueError for shapes, dtypes or devices that do not fit each other, and for an even or rectangular kernel.
    """
    casts = not x.is_meta and torch.is_autocast_enabled(x.device.type)
    if casts or torch.compiler.is_compiling():  # the operator casts, then chooses
        return depthwise_conv2d_op(x, weight, bias, dilation)
    check_arguments(x, weight, bias, dilation)
    if transformed():
        return BACKENDS["library"].run(x, weight, bias, dilation)
    backend = BACKENDS[choose(x, weight, bias, dilation)]
    if backend.differentiable or not _needs_gradient(x, weight, bias):
        return backend.run(x, weight, bias, dilation)
    return depthwise_conv2d_op(x, weight, bias, dilation)


def _needs_gradient(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Eager inference calls its kernel directly: the operator's own cost is that of a small convolution."""
    given = (x, weight) if bias is None else (x, weight, bias)
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given)
