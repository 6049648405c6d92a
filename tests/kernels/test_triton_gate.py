"""The small kernels between the linear layers, against their definitions in float64."""

import pytest
import torch

from tests.kernels.problems import TOLERANCE, drawn, error, needs_triton, poisoned

pytestmark = needs_triton

WARPS = {"num_warps": 4}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("n", "parts", "channels"), [(2, 1, 8), (3, 5, 20), (1, 20, 140)])
def test_the_gate_is_that_of_the_mean(n: int, parts: int, channels: int, dtype: torch.dtype) -> None:
    from kernels.triton_gate import gate

    reduced, positions = channels // 4, 11
    sums = drawn(n, parts, channels)
    down, down_bias = (drawn(reduced, channels) / channels**0.5).to(dtype), drawn(reduced, dtype=dtype)
    up, up_bias = (drawn(channels, reduced) / reduced**0.5).to(dtype), drawn(channels, dtype=dtype)
    with poisoned():
        found = gate(sums, down, down_bias, up, up_bias, positions, WARPS)
    mean = sums.double().sum(dim=1) / positions
    hidden = (mean @ down.double().T + down_bias.double()).clamp(min=0)
    expected = (hidden @ up.double().T + up_bias.double()).sigmoid()
    assert found.dtype is torch.float32
    assert error(found, expected) < 5 * TOLERANCE[torch.float32]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("n", "parts", "channels"), [(2, 1, 16), (3, 5, 21), (1, 20, 140)])
def test_the_response_is_relative_to_that_of_all_channels(
    n: int, parts: int, channels: int, dtype: torch.dtype
) -> None:
    from kernels.triton_gate import respond

    squares, gamma = drawn(n, parts, channels).square(), drawn(channels, dtype=dtype)
    with poisoned():
        found = respond(squares, gamma, 1e-6, WARPS)
    response = squares.double().sum(dim=1).sqrt()
    expected = 1 + gamma.double() * response / (response.mean(dim=1, keepdim=True) + 1e-6)
    assert found.dtype is torch.float32
    assert error(found, expected) < TOLERANCE[torch.float32]


def test_a_map_of_zeros_has_a_factor_of_one() -> None:
    from kernels.triton_gate import respond

    assert torch.equal(respond(torch.zeros_like(drawn(1, 2, 5)), drawn(5), 1e-6, WARPS), torch.ones_like(drawn(1, 5)))


@pytest.mark.parametrize(("parts", "channels"), [(1, 8), (56, 80), (4, 15_360), (300, 40)])
def test_blocks_cover_the_channels_within_what_a_program_holds(parts: int, channels: int) -> None:
    from kernels.triton_gate import LARGEST_BLOCK, part_blocks

    blocks = part_blocks(parts, channels)
    assert channels <= blocks["CHANNELS"] < 2 * channels
    assert blocks["BLOCK"] == 1 or blocks["BLOCK"] * blocks["CHANNELS"] <= LARGEST_BLOCK
