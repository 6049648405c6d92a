"""Gradients of the depthwise convolution outside of autograd, chosen as the convolution itself is."""

import torch
from torch import Tensor

from kernels.backends import BACKENDS
from kernels.dispatch import LARGEST_PLANE, choose, triton_runs
from kernels.layout import memory_format
from kernels.plane import plane_gradients


def gradients(
    grad: Tensor, x: Tensor, weight: Tensor, dilation: int, needs_x: bool, needs_weight: bool
) -> tuple[Tensor, Tensor]:
    """Gradients of x and weight, for the incoming gradient of x's shape; one that is not needed is empty."""
    backend = BACKENDS[choose(x, weight, None, dilation)]
    if backend.differentiable:
        return _by_torch(grad, x, weight, dilation, needs_x, needs_weight)
    grad = grad.contiguous(memory_format=memory_format(x))
    # The transpose of a convolution with "same" padding is the convolution with the kernel turned by 180 degrees.
    grad_x = backend.run(grad, weight.flip(-2, -1), None, dilation) if needs_x else x.new_empty(0)
    return grad_x, _tap_gradient(grad, x, weight) if needs_weight else weight.new_empty(0)


def _tap_gradient(grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    if not triton_runs():
        return _by_torch(grad, x, weight, 1, needs_x=False, needs_weight=True)[1]
    from kernels.triton_backward import tap_gradient

    return tap_gradient(grad, x, weight.shape[-1]).to(weight.dtype)


def _by_torch(
    grad: Tensor, x: Tensor, weight: Tensor, dilation: int, needs_x: bool, needs_weight: bool
) -> tuple[Tensor, Tensor]:
    if x.device.type == "cpu" and x.shape[2] * x.shape[3] <= LARGEST_PLANE:
        grad_x, grad_weight = plane_gradients(grad, x, weight, dilation)
        return grad_x if needs_x else x.new_empty(0), grad_weight if needs_weight else weight.new_empty(0)
    reach = dilation * (weight.shape[-1] // 2)
    of_x, of_weight, _ = torch.ops.aten.convolution_backward(
        grad,
        x,
        weight,
        None,
        [1, 1],
        [reach] * 2,
        [dilation] * 2,
        False,
        [0, 0],
        x.shape[1],
        [needs_x, needs_weight, False],
    )
    return x.new_empty(0) if of_x is None else of_x, weight.new_empty(0) if of_weight is None else of_weight
