"""The depthwise convolution as an operator of torch: one node under torch.compile and torch.export, with a gradient.

As a node it keeps its backend wherever it runs; left to a compiler, a 13 x 13 convolution is turned channels-last on
the CPU, where that is slower. To leave for another runtime, run_decompositions maps it to aten's convolution.
"""

from typing import Any

import torch
from torch import Tensor

from kernels.arguments import check_arguments
from kernels.backends import BACKENDS
from kernels.dispatch import choose
from kernels.gradients import gradients
from kernels.layout import memory_format
from kernels.transforms import refuse_forward_derivatives

NAME = "unireplknet::depthwise_conv2d"


@torch.library.custom_op(NAME, mutates_args=())
def depthwise_conv2d_op(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """Without regard to gradients; the output has x's memory format, whatever the backend."""
    check_arguments(x, weight, bias, dilation)
    refuse_forward_derivatives()
    backend = BACKENDS[choose(x, weight, bias, dilation)]
    with torch.no_grad():
        return backend.run(x, weight, bias, dilation).contiguous(memory_format=memory_format(x))


@depthwise_conv2d_op.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    check_arguments(x, weight, bias, dilation)
    refuse_forward_derivatives()
    return torch.empty_like(x, memory_format=memory_format(x))


@torch.library.custom_op(NAME + "_backward", mutates_args=())
def depthwise_conv2d_backward_op(
    grad: Tensor, x: Tensor, weight: Tensor, dilation: int, needs_x: bool, needs_weight: bool
) -> tuple[Tensor, Tensor]:
    """Gradients of x and of weight, each in its argument's dtype; one that is not needed is empty."""
    with torch.no_grad():
        grad_x, grad_weight = gradients(grad, x, weight, dilation, needs_x, needs_weight)
        laid_out = grad_x.contiguous(memory_format=memory_format(x)) if needs_x else grad_x
        return laid_out, grad_weight.contiguous()


@depthwise_conv2d_backward_op.register_fake
def _(
    grad: Tensor, x: Tensor, weight: Tensor, dilation: int, needs_x: bool, needs_weight: bool
) -> tuple[Tensor, Tensor]:
    grad_x = torch.empty_like(x, memory_format=memory_format(x)) if needs_x else x.new_empty(0)
    return grad_x, weight.new_empty(weight.shape if needs_weight else 0)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None, int], output: Tensor) -> None:
    x, weight, _, ctx.dilation = inputs
    ctx.save_for_backward(x, weight)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
    x, weight = ctx.saved_tensors
    needs_x, needs_weight, needs_bias, _ = ctx.needs_input_grad
    grad_x, grad_weight = depthwise_conv2d_backward_op(grad, x, weight, ctx.dilation, needs_x, needs_weight)
    grad_bias = grad.sum((0, 2, 3)) if needs_bias else None
    return grad_x if needs_x else None, grad_weight if needs_weight else None, grad_bias, None


depthwise_conv2d_op.register_autograd(_backward, setup_context=_save)


def _save_gradient(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, int, bool, bool], output: object) -> None:
    grad, x, weight, ctx.dilation, ctx.has_x, ctx.has_weight = inputs
    ctx.save_for_backward(grad, x, weight)


def _second_backward(ctx: Any, of_x: Tensor, of_weight: Tensor) -> tuple[Tensor | None, ...]:
    """The convolution is linear in the map and in the kernel: gradients of gradients are the same two operators."""
    grad, x, weight = ctx.saved_tensors
    needs_grad, needs_x, needs_weight, *_ = ctx.needs_input_grad
    terms = []
    if needs_grad and ctx.has_x:
        terms.append(depthwise_conv2d_op(of_x, weight, None, ctx.dilation))
    if needs_grad and ctx.has_weight:
        terms.append(depthwise_conv2d_op(x, of_weight, None, ctx.dilation))
    # What the map's gradient owes to the kernel, and the kernel's to the map
    map_like, kernel_like = of_x if ctx.has_x else x, of_weight if ctx.has_weight else weight
    needs = needs_x and ctx.has_weight, needs_weight and ctx.has_x
    second_x, second_weight = depthwise_conv2d_backward_op(grad, map_like, kernel_like, ctx.dilation, *needs)
    of_grad = sum(terms[1:], start=terms[0]) if terms else None
    return of_grad, second_x if needs[0] else None, second_weight if needs[1] else None, None, None, None


depthwise_conv2d_backward_op.register_autograd(_second_backward, setup_context=_save_gradient)


def _autocast(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """Tensors of float32 and less are cast to the autocast dtype, as for torch's own convolutions."""
    device = x.device.type
    dtype = torch.get_autocast_dtype(device)
    x, weight = (tensor if tensor.dtype is torch.float64 else tensor.to(dtype) for tensor in (x, weight))
    bias = None if bias is None else bias.to(weight.dtype)
    with torch.autocast(device, enabled=False):
        return depthwise_conv2d_op(x, weight, bias, dilation)


torch.library.impl(NAME, ("AutocastCPU", "AutocastCUDA"), _autocast)
