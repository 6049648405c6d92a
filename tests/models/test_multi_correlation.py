"""Multi-correlation along the tree of nodes: levels, requests side by side, and nodes that are not there."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.correlation.config import CorrelationConfig
from models.correlation.multi_correlation import MultiCorrelation
from tests.oracle import relative_error
from tests.randomized import randomize

TINY = CorrelationConfig(width=4, heads=2, node_list=(2, 3), steps=7, factor=2)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def run(module: nn.Module, *inputs: Any) -> Any:
    return module(*inputs)


def test_a_level_of_the_tree_averages_below_and_answers_all_below() -> None:
    layer = randomize(MultiCorrelation(TINY))
    x, memory = noise(12, 7, 4), noise(12, 5, 4, seed=1)
    with torch.inference_mode():
        found = layer(x, memory)
        for request in (0, 6):
            own, seen = x[request : request + 6], memory[request : request + 6]
            regions = layer.cross_correlation(*(y.view(1, 2, 3, -1, 4).mean(dim=2) for y in (own, seen)))[0]
            for node in range(6):
                region = slice(node // 3 * 3, node // 3 * 3 + 3)
                leaves = layer.cross_correlation(own[region][None], seen[region][None])[0]
                across = (regions[node // 3] + leaves[node % 3]) / 2
                alone = layer.auto_correlation(own[node][None], seen[node][None])[0]
                assert torch.allclose(found[request + node], alone + across, atol=1e-5)


def test_requests_answered_together_are_answered_as_alone() -> None:
    layer = randomize(MultiCorrelation(TINY))
    x, memory = noise(18, 7, 4), noise(18, 9, 4, seed=1)
    absent = noise(3, 6, seed=2) > 0.5
    together = run(layer, x, memory, absent)
    for i in range(3):
        mine = slice(6 * i, 6 * i + 6)
        assert torch.allclose(run(layer, x[mine], memory[mine], absent[i : i + 1]), together[mine], atol=1e-5)


def test_no_node_absent_is_the_same_as_no_mask() -> None:
    layer, x = randomize(MultiCorrelation(TINY)), noise(12, 7, 4)
    masked = run(layer, x, x, torch.zeros(2, 6, dtype=torch.bool))
    assert torch.allclose(masked, run(layer, x, x), atol=1e-6)


@pytest.mark.parametrize("filling", [100.0, math.nan])
def test_what_is_at_absent_nodes_reaches_no_other(filling: float) -> None:
    layer = randomize(MultiCorrelation(TINY))
    x, memory = noise(12, 7, 4), noise(12, 5, 4, seed=1)
    absent = torch.tensor([[False, True, False, True, True, True], [False, False, True, False, False, False]])
    expected = run(layer, x, memory, absent)
    x, memory = (y.masked_fill(absent.view(12, 1, 1), filling) for y in (x, memory))
    present = ~absent.flatten()
    assert torch.allclose(run(layer, x, memory, absent)[present], expected[present], atol=1e-6)


@pytest.mark.parametrize("tree", [(2, 2), (1, 3)], ids=["a node fewer in each region", "a region fewer"])
def test_a_tree_with_absent_nodes_is_the_smaller_tree(tree: tuple[int, int]) -> None:
    kept = torch.zeros(2, 3, dtype=torch.bool)
    kept[: tree[0], : tree[1]] = True
    small = randomize(MultiCorrelation(CorrelationConfig(4, 2, tree, 7, 2)))
    large = MultiCorrelation(TINY).eval()
    large.load_state_dict(small.state_dict())
    x, memory, keep = noise(12, 7, 4), noise(12, 5, 4, seed=1), kept.flatten().repeat(2)
    found = run(large, x, memory, ~kept.flatten().repeat(2, 1))[keep]
    assert torch.allclose(found, run(small, x[keep], memory[keep]), atol=1e-5)


def test_half_precision_chooses_lags_in_full() -> None:
    layer = randomize(MultiCorrelation(TINY)).bfloat16()
    x = noise(12, 7, 4).bfloat16()
    found = run(layer, x, x)
    assert found.dtype == torch.bfloat16
    assert relative_error(found, run(layer.float(), x.float(), x.float()).numpy()) < 0.05
