"""The operator under torch's own checks, its compilers, and autocast."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from kernels import depthwise_conv2d, dispatch
from kernels.backends import BACKENDS, Forward
from kernels.dispatch import HALVES, Rule, forced_backend
from kernels.operator import depthwise_conv2d_backward_op, depthwise_conv2d_op
from kernels.reference import reference_depthwise_conv2d
from tests.kernels.problems import LAYOUTS, TOLERANCE, assert_convolved, drawn, error, needs_triton, problem


class Layer(nn.Module):
    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(drawn(channels, 1, size, size))
        self.bias = nn.Parameter(drawn(channels))

    def forward(self, x: Tensor) -> Tensor:
        return depthwise_conv2d(x, self.weight, self.bias)


@pytest.mark.parametrize(
    ("side", "size", "dilation", "layout"), [(5, 3, 2, "contiguous"), (13, 15, 1, "channels last")]
)
def test_torch_finds_no_fault_with_it(side: int, size: int, dilation: int, layout: str) -> None:
    x, weight, bias = problem(2, 3, side, side, size)
    x = x.contiguous(memory_format=LAYOUTS[layout])
    inputs = (x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_(), dilation)
    torch.library.opcheck(depthwise_conv2d_op, inputs)


@pytest.mark.parametrize("needs", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("side", [5, 13])
def test_its_gradients_have_the_shapes_that_compilers_are_told(side: int, needs: tuple[bool, bool]) -> None:
    x, weight, _ = problem(2, 3, side, side, 3)
    x = x.contiguous(memory_format=torch.channels_last)
    inputs = (drawn(2, 3, side, side), x, weight, 1, *needs)
    torch.library.opcheck(depthwise_conv2d_backward_op, inputs, test_utils="test_faketensor")


@pytest.mark.parametrize(("side", "size", "dilation"), [(4, 3, 2), (13, 3, 1)])
def test_its_gradients_are_the_references(side: int, size: int, dilation: int) -> None:
    x, weight, bias = (tensor.double().requires_grad_() for tensor in problem(2, 2, side, side, size))
    inputs, incoming = (x, weight, bias), drawn(2, 2, side, side).double()
    found = torch.autograd.grad(depthwise_conv2d_op(x, weight, bias, dilation), inputs, incoming)
    expected = torch.autograd.grad(reference_depthwise_conv2d(x, weight, bias, dilation), inputs, incoming)
    for gradient, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, reference)


def test_export_keeps_one_node_that_runs_at_other_batch_sizes() -> None:
    layer, x = Layer(3, 15), drawn(2, 3, 9, 8)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(layer, (x,), dynamic_shapes=({0: batch},), strict=False)
    targets = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert targets == [torch.ops.unireplknet.depthwise_conv2d.default]
    wider = drawn(5, 3, 9, 8)
    assert torch.equal(program.module()(wider), layer(wider))


@pytest.mark.parametrize("side", [6, 14])
def test_compiled_training_gives_the_gradients_of_eager_training(side: int) -> None:
    layer, x = Layer(2, 7), drawn(2, 2, side, side).requires_grad_()
    inputs = (x, layer.weight, layer.bias)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    found, expected = compiled(x), layer(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    gradients = torch.autograd.grad(found.square().sum(), inputs)
    for gradient, reference in zip(gradients, torch.autograd.grad(expected.square().sum(), inputs), strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_casts_as_it_does_for_torchs_convolutions(dtype: torch.dtype) -> None:
    x, weight, bias = problem(1, 2, 14, 5, 3)
    with torch.autocast(x.device.type, dtype=dtype):
        by_function, by_operator = depthwise_conv2d(x, weight, bias), depthwise_conv2d_op(x, weight, bias, 1)
        exact = depthwise_conv2d_op(x.double(), weight.double(), None, 1)
    expected = reference_depthwise_conv2d(x, weight, bias)
    assert by_function.dtype is by_operator.dtype is dtype
    assert exact.dtype is torch.float64
    for found in (by_function, by_operator):
        assert error(found, expected) < 4 * TOLERANCE[dtype]


@needs_triton
def test_autocast_reaches_kernels_that_torch_does_not_know() -> None:
    x, weight, bias = problem(1, 2, 3, 4, 3)
    with torch.autocast(x.device.type, dtype=torch.float16), torch.no_grad(), forced_backend("sliding"):
        found = depthwise_conv2d(x, weight, bias)
    assert_convolved(found, x.half(), weight.half(), bias.half())


def noting(notes: list[str], name: str) -> Forward:
    run = BACKENDS[name].run

    def noted(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
        notes.append(name)
        return run(x, weight, bias, dilation)

    return noted


@needs_triton
@pytest.mark.parametrize("gradients", [True, False], ids=["gradients on", "gradients off"])
def test_autocast_casts_before_the_table_is_asked(gradients: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    halves = (Rule(backend="sliding", dtypes=HALVES), Rule(backend="library"))
    monkeypatch.setattr(dispatch, "RULES", halves)
    monkeypatch.setattr(dispatch, "backends_for", dispatch.backends_for.__wrapped__)
    used: list[str] = []
    for name in ("sliding", "library"):
        monkeypatch.setitem(BACKENDS, name, replace(BACKENDS[name], run=noting(used, name)))
    x, weight, bias = problem(1, 2, 3, 4, 3)
    with torch.autocast(x.device.type, dtype=torch.bfloat16), torch.set_grad_enabled(gradients):
        found = depthwise_conv2d(x.bfloat16(), weight, bias)
    assert found.dtype is torch.bfloat16
    assert used == ["sliding"]
