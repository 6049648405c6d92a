"""The deploy form of the block writes over its own maps in inference; nothing else may change."""

import pytest
import torch

from models.block import FusedBlock, UniRepLKNetBlock
from models.layers import channel_norms
from tests.oracle import relative_error
from tests.randomized import randomize


def fused() -> FusedBlock:
    return randomize(UniRepLKNetBlock(12, 7)).fuse()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_inference_gives_what_a_gradient_could_follow_and_leaves_its_input(layout: torch.memory_format) -> None:
    block, x = fused(), torch.randn(2, 12, 9, 7).contiguous(memory_format=layout)
    given = x.clone()
    expected = block(x)
    with torch.inference_mode():
        found = block(x)
    assert expected.requires_grad
    assert torch.equal(x, given)
    assert relative_error(found, expected.detach().double().numpy()) < 2e-6


def test_gradients_pass_the_deploy_form_as_they_do_the_training_form() -> None:
    block = randomize(UniRepLKNetBlock(12, 7)).double()
    x = torch.randn(2, 12, 5, 6, dtype=torch.float64, requires_grad=True)
    expected, found = (torch.autograd.grad(form(x).square().sum(), x)[0] for form in (block, block.fuse()))
    torch.testing.assert_close(found, expected)


def test_norms_are_of_every_channel_and_zero_for_one_that_is_silent() -> None:
    x = torch.randn(2, 5, 4, 3, dtype=torch.float64)
    x[0, :, :, 1] = 0
    expected = torch.stack([torch.stack([sample[:, :, c].norm() for c in range(3)]) for sample in x])
    with torch.inference_mode():
        found = channel_norms(x.float())
    assert found.shape == (2, 1, 1, 3)
    assert found[0, 0, 0, 1] == 0
    assert relative_error(found.flatten(1), expected.numpy()) < 2e-6
