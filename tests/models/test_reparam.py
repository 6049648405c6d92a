"""Structural re-parameterization: one plain network gives the answers of the branched one."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models.block import FusedBlock, UniRepLKNetBlock
from models.config import VARIANTS, BackboneConfig, variant
from models.reparam import BRANCHES, ConvNorm, DilatedReparamConv, dilated_to_dense, reparameterize
from models.unireplknet import UniRepLKNet
from tests.randomized import randomize

ROOT = Path(__file__).resolve().parents[2]
ROUNDING = {torch.float32: 1e-5, torch.float64: 1e-10, torch.float16: 3e-2, torch.bfloat16: 2e-1}


def narrow(config: BackboneConfig) -> BackboneConfig:
    """The variant's depths and kernels, at a fraction of its width that keeps large ones fast."""
    divisor = 8 if config.dims[0] < 80 else 16 if config.dims[0] < 128 else 32
    return replace(config, dims=tuple(dim // divisor for dim in config.dims))


def difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).detach().abs().max() / expected.detach().abs().max())


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", BRANCHES)
def test_fused_kernel_equals_the_published_branches(size: int, dtype: torch.dtype) -> None:
    layer = randomize(DilatedReparamConv(6, size).to(dtype))
    fused, x = reparameterize(layer), noise(2, 6, 2 * size, size + 4, dtype=dtype)
    assert difference(fused(x), layer(x)) < ROUNDING[dtype]
    assert fused.weight.shape == (6, 1, size, size)


@pytest.mark.parametrize("size", range(5, 32, 2))
def test_fused_kernel_equals_given_branches_for_any_odd_size(size: int) -> None:
    widest = (3, (size - 1) // 2)
    layer = randomize(DilatedReparamConv(4, size, [(3, 1), widest, (size, 1)]).double())
    x = noise(1, 4, size + 3, size + 6, dtype=torch.float64)
    assert difference(reparameterize(layer)(x), layer(x)) < ROUNDING[torch.float64]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_gives_the_same_maps_when_fused(name: str, dtype: torch.dtype) -> None:
    model = randomize(UniRepLKNet(narrow(VARIANTS[name])).to(dtype))
    x = noise(1, 3, 64, 48, dtype=dtype)
    with torch.inference_mode():
        for found, expected in zip(reparameterize(model)(x), model(x), strict=True):
            assert difference(found, expected) < ROUNDING[dtype]


@pytest.mark.parametrize("kernel_size", [3, 13])
def test_block_in_low_precision_keeps_its_dtype_and_its_answers(kernel_size: int) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        block = randomize(UniRepLKNetBlock(16, kernel_size).to(dtype))
        fused = reparameterize(block)
        assert {value.dtype for value in fused.state_dict().values()} == {dtype}
        x = noise(1, 16, 16, 16, dtype=dtype)
        exact = block.double()(x.double())
        assert difference(fused(x).double(), exact) < ROUNDING[dtype]


def test_argument_is_left_as_it_was() -> None:
    model = randomize(UniRepLKNet(narrow(VARIANTS["a"])))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x = noise(1, 3, 64, 64)
    expected = model(x)
    fused = reparameterize(model)
    for value in fused.parameters():
        value.data.zero_()
    after = model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(torch.equal(a, b) for a, b in zip(model(x), expected, strict=True))


def test_fusing_draws_no_random_numbers() -> None:
    model = UniRepLKNet(narrow(VARIANTS["a"]))
    before = torch.get_rng_state()
    reparameterize(model)
    assert torch.equal(torch.get_rng_state(), before)


def test_network_without_numbers_takes_the_same_form_and_needs_no_compiler() -> None:
    config = narrow(VARIANTS["t"])
    expected = {key: value.shape for key, value in reparameterize(UniRepLKNet(config)).state_dict().items()}
    with torch.device("meta"):
        found = reparameterize(UniRepLKNet(config)).state_dict()
    assert {key: value.shape for key, value in found.items()} == expected
    assert all(value.is_meta for value in found.values())
    program = (
        "import sys, torch; from models.config import variant; from models.reparam import reparameterize\n"
        "from models.unireplknet import UniRepLKNet\n"
        "with torch.device('meta'): reparameterize(UniRepLKNet(variant('a')))\n"
        "assert 'torch._dynamo' not in sys.modules, 'the compiler was loaded'"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)


def test_training_mode_argument_stays_in_training_mode_and_the_copy_is_in_eval_mode() -> None:
    model = UniRepLKNet(narrow(VARIANTS["a"])).train()
    assert not any(module.training for module in reparameterize(model).modules())
    assert all(module.training for module in model.modules())


def test_deploy_form_holds_no_norms_no_branches_and_no_layer_scale() -> None:
    fused = reparameterize(UniRepLKNet(narrow(VARIANTS["t"])))
    assert not any(isinstance(module, nn.BatchNorm2d | ConvNorm | UniRepLKNetBlock) for module in fused.modules())
    blocks = [module for module in fused.modules() if isinstance(module, FusedBlock)]
    assert len(blocks) == sum(variant("t").depths)
    assert all(block.grn.beta is None for block in blocks)


def test_fusing_a_deploy_model_copies_it() -> None:
    fused = reparameterize(randomize(UniRepLKNet(narrow(VARIANTS["a"]))))
    again = reparameterize(fused)
    assert again is not fused
    weights = fused.state_dict()
    assert list(weights) == list(again.state_dict())
    for key, value in again.state_dict().items():
        assert torch.equal(value, weights[key])
        assert value.data_ptr() != weights[key].data_ptr()


def test_dilated_kernel_spreads_its_taps_about_the_centre() -> None:
    dense = dilated_to_dense(torch.arange(1.0, 10.0).reshape(1, 1, 3, 3), dilation=2, size=7)
    expected = torch.zeros(7, 7)
    expected[1::2, 1::2] = torch.arange(1.0, 10.0).reshape(3, 3)
    assert torch.equal(dense[0, 0], expected)


@pytest.mark.parametrize("size", [3, 4, 6, 33])
def test_sizes_that_are_not_odd_from_5_to_31_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"kernel size {size} is not odd from 5 to 31"):
        DilatedReparamConv(4, size)


def test_size_without_published_branches_asks_for_them() -> None:
    with pytest.raises(ValueError, match=r"kernel size 19 has no published branches .* pass branches"):
        DilatedReparamConv(4, 19)


@pytest.mark.parametrize("branch", [(4, 1), (3, 7), (15, 1)])
def test_branches_that_do_not_fit_the_kernel_are_refused(branch: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"branch .* does not fit, centred, into 13"):
        DilatedReparamConv(4, 13, [branch])
