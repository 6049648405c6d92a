"""What only a GPU can show: compiled kernels on the model's shapes, the table's choices there, CUDA graphs, tuning."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from kernels import depthwise_conv2d
from kernels.dispatch import choose, forced_backend
from kernels.fused_block import fused_block, rows
from kernels.fusions import forced_fusions
from kernels.reference import reference_block, reference_depthwise_conv2d
from kernels.steps import STEPS
from tests.kernels.problems import (
    LAYOUTS,
    TOLERANCE,
    assert_convolved,
    block_weights,
    drawn,
    error,
    needs_triton,
    poisoned,
    problem,
)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    needs_triton,
]

# (N, C, H, W), K: every stage of a network at 224 and 384, sizes that nothing divides, the largest kernel.
SHAPES = [
    ((3, 80, 56, 56), 3),
    ((3, 80, 28, 28), 13),
    ((2, 160, 14, 14), 13),
    ((2, 320, 7, 7), 13),
    ((1, 192, 48, 48), 13),
    ((1, 384, 24, 24), 13),
    ((1, 768, 12, 12), 13),
    ((5, 37, 19, 33), 9),
    ((2, 384, 64, 64), 31),
    ((1, 64, 1, 70), 5),
]


@pytest.mark.parametrize("backend", ["sliding", "toeplitz", "channels_last", "dense"])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_output_is_the_convolution(
    shape: tuple[int, int, int, int], size: int, layout: str, dtype: torch.dtype, backend: str
) -> None:
    if backend == "dense" and shape[2] * shape[3] > 144:
        pytest.skip("a dense matrix of a large map fills the memory")
    x, weight, bias = problem(*shape, size, dtype)
    x = x.contiguous(memory_format=LAYOUTS[layout])
    with forced_backend(backend), torch.inference_mode():
        assert_convolved(depthwise_conv2d(x, weight, bias), x, weight, bias)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("shape", "size"), [((2, 80, 28, 28), 13), ((3, 37, 9, 19), 31), ((2, 320, 7, 7), 3)])
def test_gradients_are_the_references(shape: tuple[int, int, int, int], size: int, dtype: torch.dtype) -> None:
    x, weight, bias = (tensor.requires_grad_() for tensor in problem(*shape, size, dtype))
    incoming = drawn(*shape, dtype=dtype).roll(1, 0)
    found = torch.autograd.grad(depthwise_conv2d(x, weight, bias), (x, weight, bias), incoming)
    exact = tuple(tensor.detach().double().requires_grad_() for tensor in (x, weight, bias))
    expected = torch.autograd.grad(reference_depthwise_conv2d(*exact), exact, incoming.double())  # type: ignore[arg-type]
    for gradient, reference in zip(found, expected, strict=True):
        assert gradient.dtype is dtype
        assert error(gradient, reference) < 4 * TOLERANCE[dtype]


def test_equal_gradients_have_equal_bits() -> None:
    x, weight, _ = problem(16, 64, 14, 14, 13, torch.bfloat16)
    inputs = (x.requires_grad_(), weight.requires_grad_())
    first, again = (torch.autograd.grad(depthwise_conv2d(x, weight).square().sum(), inputs) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


@pytest.mark.parametrize("backend", ["sliding", "toeplitz", "channels_last", "dense"])
def test_a_captured_graph_convolves_what_is_written_to_its_input(backend: str) -> None:
    x, weight, bias = problem(2, 64, 7, 7, 13, torch.float16)

    def run() -> Tensor:
        with forced_backend(backend), torch.no_grad():
            return depthwise_conv2d(x, weight, bias)

    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(side):
        run()
    side.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = run()
    x.copy_(x.flip(0))
    graph.replay()
    assert_convolved(out, x, weight, bias)


def test_the_table_chooses_our_kernels_for_the_networks_own_problems() -> None:
    x, weight, bias = problem(1, 320, 14, 14, 13, torch.bfloat16)
    assert choose(x.contiguous(memory_format=torch.channels_last), weight, bias, 1) == "channels_last"
    assert choose(x, weight, bias, 1) == "toeplitz"


def test_tuning_finds_a_backend_and_its_configuration_and_the_output_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kernels import tuning
    from kernels.tuning_cache import TuningCache

    monkeypatch.setenv("UNIREPLKNET_CACHE_FOLDER", str(tmp_path))
    tuning.configurations.cache_clear()
    x, weight, bias = problem(4, 48, 14, 14, 7, torch.float16)
    x = x.contiguous(memory_format=torch.channels_last)
    with tuning.tuned(), torch.inference_mode():
        depthwise_conv2d(x, weight, bias)
    kinds = {name.partition(" ")[0] for name in TuningCache(tmp_path).load(tuning.device_name(x.device))}
    assert kinds == {"backend", "channels_last", "sliding", "toeplitz"}
    with torch.inference_mode():
        assert_convolved(depthwise_conv2d(x, weight, bias), x, weight, bias)
    tuning.configurations.cache_clear()


def test_compiled_models_call_the_kernel() -> None:
    x, weight, bias = problem(2, 64, 14, 14, 13, torch.bfloat16)
    compiled = torch.compile(depthwise_conv2d, fullgraph=True)
    with torch.inference_mode():
        assert_convolved(compiled(x, weight, bias), x, weight, bias)


BLOCKS = [
    ((3, 80, 56, 56), 3),
    ((2, 160, 28, 28), 13),
    ((5, 320, 14, 14), 13),
    ((2, 640, 7, 7), 13),
    ((2, 40, 9, 19), 5),
]
BLOCK_STEPS = tuple(name for name in STEPS if name != "norm")


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("names", [*((name,) for name in BLOCK_STEPS), BLOCK_STEPS], ids="+".join)
@pytest.mark.parametrize(("shape", "size"), BLOCKS)
def test_every_fusion_gives_the_block(
    shape: tuple[int, int, int, int], size: int, names: tuple[str, ...], dtype: torch.dtype
) -> None:
    x = drawn(*shape, dtype=dtype).contiguous(memory_format=torch.channels_last)
    weights = block_weights(shape[1], size, dtype)
    expected = reference_block(x, weights)
    with poisoned(), forced_fusions(names), torch.inference_mode():
        found = error(fused_block(x, weights), expected)
    with forced_fusions(()), torch.inference_mode():
        by_library = error(fused_block(x, weights), expected)
    assert found < 2 * max(by_library, TOLERANCE[dtype])


def arguments(shape: tuple[int, int, int, int], size: int, dtype: torch.dtype) -> dict[str, tuple[object, ...]]:
    """What each step may be given."""
    n, channels, height, width = shape
    x, w = (
        drawn(*shape, dtype=dtype).contiguous(memory_format=torch.channels_last),
        block_weights(channels, size, dtype),
    )
    sums, squares = drawn(n, 3, channels), drawn(n, 3, 4 * channels).square()
    gate, scale = drawn(n, channels).sigmoid(), drawn(n, 4 * channels)
    hidden = drawn(n, height * width, 4 * channels, dtype=dtype)
    return {
        "squeeze": (x, w.taps, w.taps_bias),
        "gate": (sums, w.down, w.down_bias, w.up, w.up_bias, height * width),
        "expand": (rows(x), w.expand, w.expand_bias, gate),
        "respond": (squares, w.gamma, w.eps),
        "project": (hidden, w.project, w.project_bias, scale, rows(x)),
        "norm": (x, w.project_bias, w.taps_bias, 1e-6, True),
    }


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize(("shape", "size"), BLOCKS)
def test_every_configuration_that_tuning_may_choose_is_right(
    shape: tuple[int, int, int, int], size: int, name: str
) -> None:
    import triton

    step, given = STEPS[name], arguments(shape, size, torch.float16)[name]
    expected = step.library(*given)
    for config in step.candidates(*given):  # type: ignore[arg-type]
        try:
            with poisoned(), torch.inference_mode():
                found = step.run(config, *given)
        except triton.OutOfResources:  # tuning leaves it out
            continue
        for one, other in zip(outputs(found), outputs(expected), strict=True):
            assert error(one, other) < 4 * TOLERANCE[torch.float16], config


def outputs(found: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Maps as they are, sums without their parts."""
    return (found,) if isinstance(found, Tensor) else (found[0], found[1].sum(dim=1))


def test_equal_blocks_have_equal_bits() -> None:
    x = drawn(16, 320, 14, 14, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
    weights = block_weights(320, 13, torch.bfloat16)
    with forced_fusions(BLOCK_STEPS), torch.inference_mode():
        assert torch.equal(fused_block(x, weights), fused_block(x, weights))
