"""The implementations by name. Triton is imported when one of its kernels first runs."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.plane import dense_depthwise_conv2d, plane_depthwise_conv2d

Forward = Callable[[Tensor, Tensor, Tensor | None, int], Tensor]


@dataclass(frozen=True)
class Backend:
    """run(x, weight, bias, dilation). differentiable: torch follows it; the others get gradients from the public op."""

    run: Forward
    differentiable: bool
    triton: bool = False


def library(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    padding = dilation * (weight.shape[-1] - 1) // 2
    return F.conv2d(x, weight, bias, padding=padding, dilation=dilation, groups=x.shape[1])


def library_channels_last(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    return library(x.contiguous(memory_format=torch.channels_last), weight, bias, dilation)


def plane(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    out = plane_depthwise_conv2d(x, weight, dilation)
    return out if bias is None else out + bias[:, None, None]


def dense(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    _check_undilated("dense", dilation)
    return dense_depthwise_conv2d(x, weight, bias)


def sliding(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    from kernels.triton_forward import sliding_depthwise_conv2d

    _check_undilated("sliding", dilation)
    return sliding_depthwise_conv2d(x, weight, bias)


def toeplitz(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    from kernels.triton_toeplitz import toeplitz_depthwise_conv2d

    _check_undilated("toeplitz", dilation)
    return toeplitz_depthwise_conv2d(x, weight, bias)


def channels_last(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    from kernels.triton_channels_last import channels_last_depthwise_conv2d

    _check_undilated("channels_last", dilation)
    return channels_last_depthwise_conv2d(x, weight, bias)


def _check_undilated(name: str, dilation: int) -> None:
    if dilation != 1:
        raise ValueError(f"backend {name!r} got dilation {dilation}, expected 1: only the library and plane dilate")


BACKENDS = {
    "library": Backend(library, differentiable=True),
    "library, channels last": Backend(library_channels_last, differentiable=True),
    "plane": Backend(plane, differentiable=True),
    "dense": Backend(dense, differentiable=False),
    "sliding": Backend(sliding, differentiable=False, triton=True),
    "toeplitz": Backend(toeplitz, differentiable=False, triton=True),
    "channels_last": Backend(channels_last, differentiable=False, triton=True),
}
