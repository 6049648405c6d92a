"""What a comparison calls compiled is compiled, however many problems one process has met before."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.exc import FailOnRecompileLimitHit

from benchmarks.bench_block import Blocks, Problem
from benchmarks.compiling import compiled
from benchmarks.plain_network import PlainClassifier
from tests.models.runtimes.networks import CONFIG, maps, model

PROBLEMS = 12  # more than torch compiles code for


class Scaled(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), 2.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def counting(graphs: list[int]) -> Callable[..., Any]:
    def backend(graph: torch.fx.GraphModule, given: Sequence[Tensor]) -> Any:
        graphs.append(len(given))
        return graph.forward

    return backend


def test_every_problem_is_compiled() -> None:
    graphs: list[int] = []
    for channels in range(1, PROBLEMS + 1):
        x = torch.ones(channels)
        assert torch.equal(compiled(Scaled(channels), backend=counting(graphs))(x), 2 * x)
        assert len(graphs) == channels


def test_code_that_is_compiled_too_often_is_an_error() -> None:
    whole = compiled(Scaled(1), backend=counting([]))
    given = [torch.ones(length, 1) for length in range(1, PROBLEMS + 1)]
    with pytest.raises(FailOnRecompileLimitHit):
        list(map(whole, given))


@torch.inference_mode()
def test_networks_and_blocks_are_compiled_whole() -> None:
    plain, x = PlainClassifier(model(replace(CONFIG, normalized_features=False))), maps(1, 3, 32, 32)
    assert torch.allclose(compiled(plain, backend="eager")(x), plain(x), atol=1e-5)
    blocks = Blocks(Problem(2, 16, 9, 5, torch.float32), "cpu")
    assert blocks.error(compiled(blocks.block, backend="eager")(blocks.x)) < blocks.tolerance
