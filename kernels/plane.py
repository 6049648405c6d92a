"""Depthwise convolution of a small map as one dense matrix per channel: the form that trains fastest on a CPU.

With "same" padding a map of H x W positions is a linear map of H*W numbers onto H*W numbers. On 12 x 12 and smaller
maps that (H*W) x (H*W) matrix costs no more multiplications than a 13 x 13 kernel, most of whose taps fall on padding,
and both gradients are matrix products as well, where libraries have slow or no code for dilated depthwise gradients.
"""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@lru_cache(maxsize=256)
def _tap_index(height: int, width: int, size: int, dilation: int) -> Tensor:
    """(H*W, H*W) index of the tap that joins an output position with an input position; K*K where none does."""
    out_y, out_x, in_y, in_x = torch.meshgrid(*map(torch.arange, (height, width, height, width)), indexing="ij")
    centre = (size - 1) // 2
    tap_y, rest_y = (in_y - out_y) // dilation + centre, (in_y - out_y) % dilation
    tap_x, rest_x = (in_x - out_x) // dilation + centre, (in_x - out_x) % dilation
    inside = (rest_y == 0) & (rest_x == 0) & (tap_y >= 0) & (tap_y < size) & (tap_x >= 0) & (tap_x < size)
    index = torch.where(inside, tap_y * size + tap_x, size * size)
    return index.reshape(height * width, height * width)


class _PlaneProduct(torch.autograd.Function):
    """(C, N, P) planes times each channel's (P, P) matrix. bmm runs channel by channel unless both are contiguous."""

    @staticmethod
    def forward(ctx: Any, planes: Tensor, taps: Tensor, index: Tensor) -> Tensor:
        matrix = taps[:, index]
        ctx.save_for_backward(planes, matrix, index)
        ctx.num_taps = taps.shape[1]
        return torch.bmm(planes, matrix.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        planes, matrix, index = ctx.saved_tensors
        grad = grads[0].contiguous()
        grad_matrix = torch.bmm(grad.transpose(1, 2), planes)
        grad_taps = planes.new_zeros(planes.shape[0], ctx.num_taps)
        grad_taps.scatter_add_(1, index.reshape(1, -1).expand(len(planes), -1), grad_matrix.flatten(1))
        return torch.bmm(grad, matrix), grad_taps, None


def plane_depthwise_conv2d(x: Tensor, weight: Tensor, dilation: int = 1) -> Tensor:
    """x: (N, C, H, W), weight: (C, 1, K, K) with odd K -> (N, C, H, W), padded to the same size."""
    n, channels, height, width = x.shape
    size = weight.shape[-1]
    taps = F.pad(weight.reshape(channels, size * size), (0, 1))  # the last tap, 0, is the padding
    planes = x.permute(1, 0, 2, 3).reshape(channels, n, height * width).contiguous()
    out: Tensor = _PlaneProduct.apply(planes, taps, _tap_index(height, width, size, dilation))  # type: ignore[no-untyped-call]
    return out.reshape(channels, n, height, width).permute(1, 0, 2, 3)
