"""What the convolution refuses, and what it takes however it lies in memory: alike for every backend."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kernels import depthwise_conv2d
from kernels.backends import BACKENDS
from kernels.dispatch import forced_backend
from kernels.operator import depthwise_conv2d_op
from kernels.reference import reference_depthwise_conv2d
from tests.kernels.problems import TOLERANCE, drawn, error, needs_triton, problem

pytestmark = needs_triton

Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

REFUSED: dict[str, tuple[Shapes, str]] = {
    "kernels for other channels": (
        ((1, 3, 4, 5), (2, 1, 3, 3), (3,)),
        r"weight has shape \(2, 1, 3, 3\), expected \(3, 1, K, K\) for a map of 3 channels: pass one kernel",
    ),
    "a dense weight": (
        ((1, 3, 4, 5), (3, 3, 3, 3), (3,)),
        r"weight has shape \(3, 3, 3, 3\), expected \(C, 1, K, K\)",
    ),
    "a flat weight": (((1, 3, 4, 5), (3, 3, 3), (3,)), r"weight has shape \(3, 3, 3\), expected \(C, 1, K, K\)"),
    "an even kernel": (((1, 3, 4, 5), (3, 1, 4, 4), (3,)), "kernel is 4x4, expected a square of odd size"),
    "a short bias": (((1, 4, 4, 5), (4, 1, 3, 3), (2,)), r"bias has shape \(2,\), expected \(4,\): pass one number"),
    "a bias of two dimensions": (((1, 2, 4, 5), (2, 1, 3, 3), (2, 1)), r"bias has shape \(2, 1\), expected \(2,\)"),
    "a map without a batch": (((2, 4, 5), (2, 1, 3, 3), (2,)), r"map has shape \(2, 4, 5\), expected \(N, C, H, W\)"),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", REFUSED)
def test_shapes_that_do_not_fit_are_refused(name: str, backend: str) -> None:
    shapes, message = REFUSED[name]
    x, weight, bias = (drawn(*shape) for shape in shapes)
    with forced_backend(backend), torch.no_grad():
        with pytest.raises(ValueError, match=message):
            depthwise_conv2d(x, weight, bias)
        with pytest.raises(ValueError, match=message):
            depthwise_conv2d_op(x, weight, bias, 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_dtypes_that_differ_are_refused(backend: str) -> None:
    x, weight, bias = problem(1, 2, 4, 5, 3)
    with forced_backend(backend), torch.no_grad():
        with pytest.raises(ValueError, match=r"bias is torch.float16, expected the map's torch.float32: cast one"):
            depthwise_conv2d(x, weight, bias.half())
        with pytest.raises(ValueError, match=r"weight is torch.float32, expected the map's torch.float16: cast one"):
            depthwise_conv2d(x.half(), weight, bias.half())


def test_tensors_of_other_devices_and_dilations_below_one_are_refused() -> None:
    x, weight, bias = problem(1, 2, 4, 5, 3)
    with pytest.raises(ValueError, match="weight is on meta, expected the map's"):
        depthwise_conv2d(x, weight.to("meta"), bias)
    with pytest.raises(ValueError, match="dilation is 0, expected 1 or more"):
        depthwise_conv2d(x, weight, bias, 0)


def test_compilers_are_told_as_well() -> None:
    x, weight = drawn(1, 3, 4, 5).to("meta"), drawn(2, 1, 3, 3).to("meta")
    with pytest.raises(ValueError, match="expected .3, 1, K, K. for a map of 3 channels"):
        depthwise_conv2d_op(x, weight, None, 1)


def spread(tensor: Tensor) -> Tensor:
    """The same numbers, every other one of their memory."""
    return torch.stack([tensor, torch.full_like(tensor, 99.0)], dim=-1).flatten(-2)[..., ::2]


LAID_OUT: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "permuted weight": lambda weight, bias: (weight.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2), bias),
    "strided weight": lambda weight, bias: (spread(weight), bias),
    "expanded weight": lambda weight, bias: (weight[:1].expand_as(weight), bias),
    "strided bias": lambda weight, bias: (weight, spread(bias)),
    "expanded bias": lambda weight, bias: (weight, bias[:1].expand_as(bias)),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("layout", LAID_OUT)
def test_weights_and_biases_may_lie_anyhow_in_memory(layout: str, backend: str) -> None:
    x, weight, bias = problem(2, 3, 4, 6, 3)
    weight, bias = LAID_OUT[layout](weight, bias)
    with forced_backend(backend), torch.no_grad():
        found = depthwise_conv2d(x, weight, bias)
    assert error(found, reference_depthwise_conv2d(x, weight, bias)) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("side", [4, 14])
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_empty_batch_gives_an_empty_map_and_gradients_of_zero(backend: str, side: int) -> None:
    x, weight, bias = (tensor.requires_grad_() for tensor in problem(0, 3, side, side, 3))
    with forced_backend(backend):
        found = depthwise_conv2d(x, weight, bias)
        gradients = torch.autograd.grad(found.sum(), (x, weight, bias))
        with torch.no_grad():
            assert depthwise_conv2d(x, weight, bias).shape == x.shape
    assert found.shape == x.shape
    assert [gradient.shape for gradient in gradients] == [x.shape, weight.shape, bias.shape]
    assert not any(gradient.any() for gradient in gradients)
