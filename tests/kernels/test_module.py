"""The layer takes the place of torch's own."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kernels import DepthwiseConv2d
from tests.kernels.problems import drawn


def torchs(channels: int, size: int, dilation: int, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(
        channels, channels, size, padding=dilation * (size // 2), dilation=dilation, groups=channels, bias=bias
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("size", "dilation"), [(3, 1), (5, 2), (13, 1)])
def test_it_takes_torchs_weights_and_gives_torchs_map(size: int, dilation: int, bias: bool) -> None:
    ours, theirs = DepthwiseConv2d(4, size, dilation, bias=bias), torchs(4, size, dilation, bias)
    ours.load_state_dict(theirs.state_dict())
    x = drawn(2, 4, 9, 14).cpu()
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    assert F.conv2d(x, ours.weight, ours.bias, ours.stride, ours.padding, ours.dilation, ours.groups).shape == x.shape


def test_it_begins_as_torchs_does() -> None:
    torch.manual_seed(0)
    ours = DepthwiseConv2d(4, 5).state_dict()
    torch.manual_seed(0)
    theirs = torchs(4, 5, 1, True).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_it_is_made_in_a_dtype_and_on_a_device() -> None:
    layer = DepthwiseConv2d(4, 3, device="meta", dtype=torch.bfloat16)
    assert layer.weight.is_meta
    assert {parameter.dtype for parameter in layer.parameters()} == {torch.bfloat16}


def test_an_even_kernel_is_refused_where_it_is_made() -> None:
    with pytest.raises(ValueError, match="kernel size is 4, expected an odd one, such as 5"):
        DepthwiseConv2d(2, 4)
