"""The dense-matrix form for small maps against the library's convolution and its gradients, in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.plane import plane_depthwise_conv2d

CASES = [
    (3, 1, 5, 5),
    (3, 4, 7, 12),
    (5, 2, 12, 3),
    (7, 2, 6, 9),
    (13, 1, 7, 7),
    (13, 1, 1, 1),
    (17, 1, 12, 12),
    (31, 1, 4, 9),
]


def library(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    reach = dilation * (weight.shape[-1] // 2)
    return F.conv2d(x, weight, padding=reach, dilation=dilation, groups=x.shape[1])


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@pytest.mark.parametrize(("size", "dilation", "height", "width"), CASES)
def test_output_and_gradients_are_the_convolutions(size: int, dilation: int, height: int, width: int) -> None:
    x, weight = drawn(3, 4, height, width).requires_grad_(), drawn(4, 1, size, size).requires_grad_()
    incoming = drawn(3, 4, height, width)
    found, expected = plane_depthwise_conv2d(x, weight, dilation), library(x, weight, dilation)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    inputs = (x, weight)
    gradients = torch.autograd.grad(found, inputs, incoming)
    for gradient, reference in zip(gradients, torch.autograd.grad(expected, inputs, incoming), strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-12, atol=1e-12)


def test_gradients_agree_with_finite_differences() -> None:
    x, weight = drawn(2, 2, 4, 5).requires_grad_(), drawn(2, 1, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, weight: plane_depthwise_conv2d(x, weight, 2), (x, weight))


def test_channels_last_map_and_gradient_are_understood() -> None:
    x, weight = drawn(2, 4, 6, 8).contiguous(memory_format=torch.channels_last), drawn(4, 1, 7, 7).requires_grad_()
    incoming = drawn(2, 4, 6, 8).contiguous(memory_format=torch.channels_last)
    found, expected = plane_depthwise_conv2d(x, weight), library(x, weight, 1)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    (gradient,) = torch.autograd.grad(found, weight, incoming)
    (reference,) = torch.autograd.grad(expected, weight, incoming)
    torch.testing.assert_close(gradient, reference, rtol=1e-12, atol=1e-12)


def test_gradient_of_a_frozen_kernel_reaches_the_map() -> None:
    x, weight = drawn(1, 2, 5, 5).requires_grad_(), drawn(2, 1, 5, 5)
    (found,) = torch.autograd.grad(plane_depthwise_conv2d(x, weight).sum(), x)
    (expected,) = torch.autograd.grad(library(x, weight, 1).sum(), x)
    torch.testing.assert_close(found, expected)
