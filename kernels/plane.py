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

from kernels.layout import memory_format
from kernels.packing import packed

ALIGNMENT = 8  # positions; rows of 16 bytes, without which matrix products in half precision leave the tensor cores


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
    def forward(ctx: Any, planes: Tensor, matrix: Tensor) -> Tensor:
        ctx.save_for_backward(planes, matrix)
        return torch.bmm(planes, matrix.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        planes, matrix = ctx.saved_tensors
        grad = grads[0].contiguous()
        return torch.bmm(grad, matrix), torch.bmm(grad.transpose(1, 2), planes)


def _matrix(taps: Tensor, index: Tensor) -> Tensor:
    """(C, K * K + 1) taps -> (C, P, P). Its gradient is one scatter_add, where that of indexing sorts."""
    flat = index.reshape(1, -1).expand(len(taps), -1)
    return taps.gather(1, flat).reshape(len(taps), *index.shape)


def _planes(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (C, N, H * W), contiguous."""
    return x.permute(1, 0, 2, 3).flatten(2).contiguous()


def _taps(weight: Tensor) -> Tensor:
    """(C, 1, K, K) -> (C, K * K + 1); the last tap, 0, is the padding."""
    return F.pad(weight.flatten(1), (0, 1))


def plane_depthwise_conv2d(x: Tensor, weight: Tensor, dilation: int = 1) -> Tensor:
    """x: (N, C, H, W), weight: (C, 1, K, K) with odd K -> (N, C, H, W), padded to the same size."""
    n, channels, height, width = x.shape
    index = _tap_index(height, width, weight.shape[-1], dilation)
    out: Tensor = _PlaneProduct.apply(_planes(x), _matrix(_taps(weight), index))  # type: ignore[no-untyped-call]
    return out.reshape(channels, n, height, width).permute(1, 0, 2, 3)


def plane_gradients(grad: Tensor, x: Tensor, weight: Tensor, dilation: int = 1) -> tuple[Tensor, Tensor]:
    """Gradients of x and weight for the incoming gradient, (N, C, H, W): what autograd finds, outside of it."""
    n, channels, height, width = x.shape
    index = _tap_index(height, width, weight.shape[-1], dilation)
    taps, planes = _taps(weight), _planes(grad)
    grad_planes = torch.bmm(planes, _matrix(taps, index))
    grad_matrix = torch.bmm(planes.transpose(1, 2), _planes(x)).flatten(1)
    grad_taps = torch.zeros_like(taps).scatter_add_(1, index.reshape(1, -1).expand(channels, -1), grad_matrix)
    return grad_planes.reshape(channels, n, height, width).transpose(0, 1), grad_taps[:, :-1].reshape(weight.shape)


def dense_depthwise_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The same product for inference on a GPU, in one batched matrix product. bias: (C,). Keeps x's layout.

    Positions are padded to rows that tensor cores can read; the matrix is remembered with the weight.
    """
    n, channels, height, width = x.shape
    positions = height * width
    spare = -positions % ALIGNMENT
    matrix = packed(weight, ("dense", height, width), lambda taps: _padded_matrix(taps, height, width, spare))
    planes = F.pad(_planes(x), (0, spare))
    out = torch.bmm(planes, matrix) if bias is None else torch.baddbmm(bias[:, None, None], planes, matrix)
    maps = out[:, :, :positions].reshape(channels, n, height, width).transpose(0, 1)
    return maps.contiguous(memory_format=memory_format(x))


def _padded_matrix(weight: Tensor, height: int, width: int, spare: int) -> Tensor:
    """(C, 1, K, K) -> (C, input positions, output positions), `spare` rows and columns of zeros at their ends."""
    index = _tap_index(height, width, weight.shape[-1], 1).to(weight.device)
    return F.pad(_matrix(_taps(weight), index.T), (0, spare, 0, spare))
