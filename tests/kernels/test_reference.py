"""The ground truth itself, against the library in float64 and against finite differences."""

import pytest
import torch
import torch.nn.functional as F

from kernels.reference import reference_depthwise_conv2d
from tests.kernels.problems import drawn


@pytest.mark.parametrize(("size", "dilation"), [(3, 1), (5, 3), (13, 1), (31, 1)])
def test_it_is_the_librarys_convolution(size: int, dilation: int) -> None:
    x, weight, bias = drawn(2, 3, 9, 14), drawn(3, 1, size, size), drawn(3)
    expected = F.conv2d(
        x.double(), weight.double(), bias.double(), padding=dilation * (size // 2), dilation=dilation, groups=3
    )
    torch.testing.assert_close(reference_depthwise_conv2d(x, weight, bias, dilation), expected)


def test_its_gradients_agree_with_finite_differences() -> None:
    shapes = ((1, 2, 4, 5), (2, 1, 3, 3), (2,))
    inputs = tuple(drawn(*shape).double().requires_grad_() for shape in shapes)
    assert torch.autograd.gradcheck(lambda x, weight, bias: reference_depthwise_conv2d(x, weight, bias, 2), inputs)
