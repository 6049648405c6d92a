"""Gradients of gradients, and what torch.func makes of the convolution, against the definition."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from kernels import depthwise_conv2d
from kernels.backends import BACKENDS
from kernels.dispatch import forced_backend
from kernels.operator import depthwise_conv2d_op
from kernels.reference import reference_depthwise_conv2d
from tests.kernels.problems import TOLERANCE, drawn, error, needs_triton

# torch scripts its own decompositions where it first differentiates forward
pytestmark = [needs_triton, pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")]

Convolution = Callable[[Tensor, Tensor], Tensor]
X, WEIGHT = (2, 2, 3, 4), (2, 1, 3, 3)


def second_gradients(convolve: Convolution, dtype: torch.dtype, first: slice) -> tuple[Tensor, ...]:
    """Of map and kernel, through the gradients of either or both."""
    inputs = tuple(drawn(*shape).to(dtype).requires_grad_() for shape in (X, WEIGHT))
    gradients = torch.autograd.grad(convolve(*inputs).pow(3).sum(), inputs[first], create_graph=True)
    loss = torch.stack([gradient.square().sum() for gradient in gradients]).sum()
    return torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("first", [slice(0, 1), slice(1, 2), slice(0, 2)], ids=["map", "kernel", "both"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_gradients_are_the_references(backend: str, first: slice) -> None:
    expected = second_gradients(reference_depthwise_conv2d, torch.float64, first)
    with forced_backend(backend):
        for convolve in (depthwise_conv2d, lambda x, weight: depthwise_conv2d_op(x, weight, None, 1)):
            found = second_gradients(convolve, torch.float32, first)
            assert all(error(*pair) < 10 * TOLERANCE[torch.float32] for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("backend", ["library", "plane"])
def test_second_gradients_agree_with_finite_differences(backend: str, dilation: int) -> None:
    inputs = tuple(drawn(*shape).double().requires_grad_() for shape in ((1, 2, 3, 4), WEIGHT, (2,)))
    with forced_backend(backend):
        for convolve in (depthwise_conv2d, depthwise_conv2d_op):
            assert torch.autograd.gradgradcheck(
                lambda x, weight, bias, f=convolve: f(x, weight, bias, dilation),
                inputs,
            )


TRANSFORMS: dict[str, Callable[[Convolution, Tensor, Tensor], Tensor]] = {
    "jvp": lambda f, x, weight: torch.func.jvp(lambda x: f(x, weight), (x,), (x.flip(0),))[1],
    "vmap": lambda f, x, weight: torch.vmap(f)(torch.stack([x, x.flip(0)]), torch.stack([weight, weight.flip(0)])),
    "grad": lambda f, x, weight: torch.func.grad(lambda weight: f(x, weight).square().sum())(weight),
    "hessian": lambda f, x, weight: torch.func.hessian(lambda weight: f(x, weight).square().sum())(weight),
}


@pytest.mark.parametrize("gradients", [True, False], ids=["gradients on", "gradients off"])
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_transforms_are_right_whatever_the_backend(backend: str, transform: str, gradients: bool) -> None:
    inputs = drawn(*X), drawn(*WEIGHT)
    with forced_backend(backend), torch.set_grad_enabled(gradients):
        found = TRANSFORMS[transform](depthwise_conv2d, *inputs)
    expected = TRANSFORMS[transform](reference_depthwise_conv2d, *inputs)
    assert error(found, expected) < 4 * TOLERANCE[torch.float32]


@pytest.mark.parametrize("backend", BACKENDS)
def test_tangents_pass(backend: str) -> None:
    x, tangent, weight = drawn(*X), drawn(*X).flip(0), drawn(*WEIGHT)
    with forced_backend(backend), torch.no_grad(), forward_ad.dual_level():
        dual = forward_ad.make_dual(x, tangent)  # type: ignore[no-untyped-call]
        found = forward_ad.unpack_dual(depthwise_conv2d(dual, weight)).tangent  # type: ignore[no-untyped-call]
    assert error(found, reference_depthwise_conv2d(tangent, weight)) < TOLERANCE[torch.float32]


def test_the_operator_itself_refuses_what_it_would_get_wrong() -> None:
    x, weight = drawn(*X), drawn(*WEIGHT)
    with pytest.raises(RuntimeError, match="within forward differentiation, expected reverse or none"):
        torch.func.jvp(lambda x: depthwise_conv2d_op(x, weight, None, 1), (x,), (x,))
    with pytest.raises(RuntimeError, match="setup_context"):
        torch.func.grad(lambda x: depthwise_conv2d_op(x, weight, None, 1).sum())(x)
