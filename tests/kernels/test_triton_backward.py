"""The gradient kernel and the gradients of the public function through all Triton kernels, against the ground truth."""

import pytest
import torch
from torch import Tensor

from kernels import depthwise_conv2d
from kernels.dispatch import forced_backend
from kernels.reference import reference_depthwise_conv2d
from tests.kernels.problems import LAYOUTS, TOLERANCE, drawn, error, needs_triton, poisoned, problem

pytestmark = needs_triton


def expected_gradients(x: Tensor, weight: Tensor, bias: Tensor, incoming: Tensor) -> tuple[Tensor, ...]:
    x, weight, bias = (tensor.detach().double().requires_grad_() for tensor in (x, weight, bias))
    return torch.autograd.grad(reference_depthwise_conv2d(x, weight, bias), (x, weight, bias), incoming.double())


@pytest.mark.parametrize(
    ("shape", "size", "dtype", "config"),
    [
        ((2, 5, 7, 7), 3, torch.float32, {"ROWS": 8, "COLUMNS": 7, "CHANNELS": 16, "num_warps": 2}),
        ((1, 20, 3, 9), 3, torch.float16, {"ROWS": 4, "COLUMNS": 4, "CHANNELS": 16, "num_warps": 2}),
        ((1, 2, 2, 3), 7, torch.bfloat16, {"ROWS": 2, "COLUMNS": 3, "CHANNELS": 16, "num_warps": 2}),
    ],
)
def test_tap_gradient_is_the_sum_of_shifted_products(
    shape: tuple[int, int, int, int], size: int, dtype: torch.dtype, config: dict[str, int]
) -> None:
    from kernels.triton_backward import tap_gradient

    x, weight, bias = problem(*shape, size, dtype)
    incoming = drawn(*shape, dtype=dtype).flip(0, 2)
    with poisoned():
        found = tap_gradient(incoming, x, size, config)
    assert found.dtype is torch.float32
    assert error(found, expected_gradients(x, weight, bias, incoming)[1]) < TOLERANCE[torch.float32]


def test_parts_are_added_in_a_fixed_order(monkeypatch: pytest.MonkeyPatch) -> None:
    from kernels import triton_backward

    monkeypatch.setattr(triton_backward, "PROGRAMS", 12)  # four parts for each of three kernel rows
    x, weight, bias = problem(4, 3, 3, 2, 3)
    with poisoned():
        first, again = (triton_backward.tap_gradient(x, x, 3) for _ in range(2))
    assert torch.equal(first, again)
    assert error(first, expected_gradients(x, weight, bias, x)[1]) < TOLERANCE[torch.float32]


@pytest.mark.parametrize(
    ("backend", "layout"),
    [
        ("sliding", "channels last"),
        ("toeplitz", "contiguous"),
        ("channels_last", "channels last"),
        ("dense", "channels last"),
    ],
)
def test_gradients_of_the_public_function_are_the_references(backend: str, layout: str) -> None:
    x, weight, bias = problem(2, 3, 3, 4, 3)
    x = x.contiguous(memory_format=LAYOUTS[layout])
    incoming = drawn(2, 3, 3, 4).roll(1)
    inputs = (x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_())
    with poisoned(), forced_backend(backend):
        found = torch.autograd.grad(depthwise_conv2d(x, weight, bias), inputs, incoming)
    for gradient, expected in zip(found, expected_gradients(x, weight, bias, incoming), strict=True):
        assert error(gradient, expected) < 2 * TOLERANCE[torch.float32]


def test_only_the_gradients_that_are_asked_for_are_computed() -> None:
    x, weight, _ = problem(1, 2, 3, 4, 3)
    with forced_backend("sliding"):
        (alone,) = torch.autograd.grad(depthwise_conv2d(x, weight.requires_grad_()).sum(), weight)
        (of_map,) = torch.autograd.grad(depthwise_conv2d(x.requires_grad_(), weight.detach()).sum(), x)
    assert alone.shape == weight.shape
    assert of_map.shape == x.shape
