"""The block by its steps: each fused by itself, none and all, against the definition in float64."""

import pytest
import torch

from kernels.fused_block import channel_layer_norm, fused_block
from kernels.fusions import forced_fusions
from kernels.reference import reference_block, reference_depthwise_conv2d, reference_layer_norm
from kernels.steps import STEPS
from tests.kernels.problems import TOLERANCE, block_weights, drawn, error, needs_triton, poisoned

pytestmark = needs_triton

BLOCK_STEPS = [name for name in STEPS if name != "norm"]
SETS = [(), *((name,) for name in BLOCK_STEPS), tuple(BLOCK_STEPS)]


@pytest.mark.parametrize("names", SETS, ids="+".join)
def test_every_set_of_fusions_gives_the_block(names: tuple[str, ...]) -> None:
    x, weights = drawn(2, 8, 5, 7), block_weights(8, 3)
    with poisoned(), forced_fusions(names), torch.inference_mode():
        found = fused_block(x, weights)
    assert found.shape == x.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert error(found, reference_block(x, weights)) < 2 * TOLERANCE[torch.float32]


@pytest.mark.parametrize(
    ("shape", "size"), [((1, 12, 3, 2), 5), ((3, 20, 4, 9), 3), ((1, 4, 1, 1), 3)], ids=["narrow", "wide", "one"]
)
def test_all_fused_in_half_precision_is_as_near_as_the_library(shape: tuple[int, int, int, int], size: int) -> None:
    x = drawn(*shape, dtype=torch.float16).contiguous(memory_format=torch.channels_last)
    weights = block_weights(shape[1], size, torch.float16)
    expected = reference_block(x, weights)
    found = {}
    for names in ((), tuple(BLOCK_STEPS)):
        with poisoned(), forced_fusions(names), torch.inference_mode():
            found[names] = error(fused_block(x, weights), expected)
    assert found[tuple(BLOCK_STEPS)] < 2 * max(found[()], TOLERANCE[torch.float16])


def test_equal_calls_give_equal_bits() -> None:
    x, weights = drawn(2, 8, 3, 4), block_weights(8, 3)
    with forced_fusions(BLOCK_STEPS), torch.inference_mode():
        assert torch.equal(fused_block(x, weights), fused_block(x, weights))


def test_samples_do_not_see_each_other() -> None:
    x, weights = drawn(2, 8, 3, 4), block_weights(8, 3)
    with forced_fusions(BLOCK_STEPS), torch.inference_mode():
        together = fused_block(x, weights)
        other = fused_block(torch.stack([x[0], torch.full_like(x[1], 5.0)]), weights)
    assert torch.equal(together[0], other[0])


@pytest.mark.parametrize("names", [(), ("norm",)], ids=["library", "fused"])
@pytest.mark.parametrize("gelu", [False, True])
def test_the_norm_of_a_contiguous_map_is_that_of_its_channels(gelu: bool, names: tuple[str, ...]) -> None:
    x, weight, bias = drawn(2, 6, 3, 5), drawn(6), drawn(6).flip(0)
    with forced_fusions(names), torch.inference_mode():
        found = channel_layer_norm(x, weight, bias, 1e-6, gelu)
    assert error(found, reference_layer_norm(x, weight, bias, 1e-6, gelu)) < 2 * TOLERANCE[torch.float32]


def test_the_reference_is_the_plain_modules() -> None:
    x, w = drawn(2, 8, 5, 7).double(), block_weights(8, 3, torch.float64)
    functional = torch.nn.functional
    y = reference_depthwise_conv2d(x, w.taps, w.taps_bias)
    gate = functional.linear(functional.relu(functional.linear(y.mean((2, 3)), w.down, w.down_bias)), w.up, w.up_bias)
    y = (y * gate.sigmoid()[:, :, None, None]).permute(0, 2, 3, 1)
    y = functional.gelu(functional.linear(y, w.expand, w.expand_bias))
    response = torch.linalg.vector_norm(y, dim=(1, 2), keepdim=True)
    y = y * (1 + w.gamma * response / (response.mean(dim=-1, keepdim=True) + w.eps))
    expected = x + functional.linear(y, w.project, w.project_bias).permute(0, 3, 1, 2)
    torch.testing.assert_close(reference_block(x, w), expected)
