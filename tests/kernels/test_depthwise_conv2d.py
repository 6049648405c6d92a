"""The depthwise convolution against a sum over taps, in float64 and written without any convolution."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernels import depthwise_conv2d
from kernels.dispatch import LARGEST_PLANE

ODD_SIZES = range(3, 32, 2)
FLOAT32_ROUNDING = 2e-6  # of the largest output


def sum_over_taps(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> NDArray[np.float64]:
    """The definition: every tap times the map, shifted by the tap's distance from the centre."""
    maps, taps = x.detach().double().numpy(), weight.detach().double().numpy()[:, 0]
    height, width = maps.shape[2:]
    reach = dilation * (taps.shape[-1] // 2)
    padded = np.pad(maps, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    out = np.zeros_like(maps)
    for i in range(taps.shape[1]):
        for j in range(taps.shape[2]):
            shifted = padded[:, :, i * dilation :, j * dilation :][:, :, :height, :width]
            out += shifted * taps[None, :, i, j, None, None]
    return out if bias is None else out + bias.detach().double().numpy()[None, :, None, None]


def error(found: Tensor, expected: NDArray[np.float64]) -> float:
    return float(np.abs(found.detach().double().numpy() - expected).max() / np.abs(expected).max())


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("biased", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("size", ODD_SIZES)
def test_output_is_the_sum_over_taps(size: int, biased: bool) -> None:
    x, weight, bias = noise(2, 5, 17, 23), noise(5, 1, size, size), noise(5) if biased else None
    found = depthwise_conv2d(x, weight, bias)
    assert found.shape == x.shape
    assert error(found, sum_over_taps(x, weight, bias, 1)) < FLOAT32_ROUNDING


@pytest.mark.parametrize(
    ("size", "dilation"), [(3, 1), (3, 2), (3, 5), (3, 7), (5, 2), (7, 2), (9, 2), (13, 1), (17, 3)]
)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 40), (40, 3), (12, 12), (20, 13)])
def test_rectangular_maps_and_dilations_keep_their_size(size: int, dilation: int, height: int, width: int) -> None:
    x, weight, bias = noise(2, 3, height, width), noise(3, 1, size, size), noise(3)
    found = depthwise_conv2d(x, weight, bias, dilation)
    assert found.shape == x.shape
    assert error(found, sum_over_taps(x, weight, bias, dilation)) < FLOAT32_ROUNDING


@pytest.mark.parametrize("size", [3, 13, 15, 31])
def test_channels_last_and_strided_maps_give_the_same_output(size: int) -> None:
    x, weight = noise(2, 6, 15, 18), noise(6, 1, size, size)
    expected = sum_over_taps(x, weight, None, 1)
    assert error(depthwise_conv2d(x.contiguous(memory_format=torch.channels_last), weight), expected) < FLOAT32_ROUNDING
    wide = torch.stack([x, x], dim=-1).flatten(-2)[..., ::2]
    assert not wide.is_contiguous()
    assert error(depthwise_conv2d(wide, weight), expected) < FLOAT32_ROUNDING


@pytest.mark.parametrize("side", [6, 24], ids=["small map", "large map"])
@pytest.mark.parametrize("size", [3, 13, 17])
def test_training_and_inference_give_the_same_output(size: int, side: int) -> None:
    x, weight = noise(2, 4, side, side), noise(4, 1, size, size).requires_grad_()
    trained = depthwise_conv2d(x, weight)
    with torch.no_grad():
        inferred = depthwise_conv2d(x, weight)
    assert trained.requires_grad
    torch.testing.assert_close(trained.detach(), inferred, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
def test_even_and_rectangular_kernels_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"kernel is {shape[0]}x{shape[1]}, expected a square of odd size"):
        depthwise_conv2d(noise(1, 2, 9, 9), noise(2, 1, *shape))


@pytest.mark.parametrize("size", [13, 15])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_output_has_the_inputs_dtype(dtype: torch.dtype, size: int) -> None:
    found = depthwise_conv2d(noise(1, 4, 20, 20).to(dtype), noise(4, 1, size, size).to(dtype))
    assert found.dtype is dtype


def test_gradients_of_large_maps_agree_with_finite_differences() -> None:
    x, weight = noise(1, 2, 14, 14).double().requires_grad_(), noise(2, 1, 3, 3).double().requires_grad_()
    assert LARGEST_PLANE < 14 * 14
    assert torch.autograd.gradcheck(depthwise_conv2d, (x, weight))


def test_small_maps_that_train_take_the_plane_path_and_large_ones_do_not() -> None:
    x, weight = noise(1, 2, 9, 9), noise(2, 1, 13, 13).requires_grad_()
    biased = depthwise_conv2d(x, weight, noise(2))
    assert error(biased, sum_over_taps(x, weight, noise(2), 1)) < FLOAT32_ROUNDING
    assert "PlaneProduct" in _ancestors(depthwise_conv2d(x, weight))
    assert "PlaneProduct" not in _ancestors(depthwise_conv2d(noise(1, 2, 13, 13), weight))


def _ancestors(x: Tensor) -> str:
    nodes, names = [x.grad_fn], ""
    while nodes:
        node = nodes.pop()
        if node is not None:
            names += node.name()
            nodes += [parent for parent, _ in node.next_functions]
    return names
