"""The published sizes: what they weigh, what they cost, and what a backbone built from a row does."""

from dataclasses import asdict, replace
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models.block import UniRepLKNetBlock
from models.config import VARIANTS, BackboneConfig, backbone_config, default_kernel_sizes, variant
from models.heads.classification import ClassificationHead
from models.layers import DropPath
from models.perception import PerceptionModel
from models.reparam import DilatedReparamConv, reparameterize
from models.unireplknet import UniRepLKNet
from tests.randomized import randomize

TINY = BackboneConfig((1, 1, 2, 1), (4, 8, 8, 12), ((3,), (7,), (5, 3), (9,)))


class Published(NamedTuple):
    """1000 classes. Parameters in training and deploy form; 10^9 multiply-adds at 224 in both, at 384 in deploy."""

    training: int
    deploy: int
    giga_training_224: float
    giga_deploy_224: float
    giga_deploy_384: float


# Counted on the authors' code; the deploy columns agree with the paper's Table 4 to its digits.
COUNTS = {
    "a": Published(4_649_060, 4_437_300, 0.675, 0.640, 1.879),
    "f": Published(6_489_328, 6_235_216, 0.947, 0.905, 2.659),
    "p": Published(11_080_520, 10_741_704, 1.629, 1.573, 4.621),
    "n": Published(18_818_880, 18_318_560, 2.849, 2.767, 8.127),
    "t": Published(31_693_420, 31_037_980, 5.004, 4.899, 14.393),
    "s": Published(56_456_704, 55_645_984, 9.219, 9.094, 26.718),
    "b": Published(99_089_416, 98_008_456, 16.224, 16.057, 47.176),
    "l": Published(220_076_056, 218_454_616, 36.132, 35.882, 105.422),
    "xl": Published(388_690_984, 386_529_064, 63.904, 63.570, 186.772),
    "h": Published(1_353_916_000, 1_349_862_400, 223.032, 222.405, 653.449),
}


def classifier(name: str) -> PerceptionModel:
    config = variant(name)
    with torch.device("meta"):
        return PerceptionModel(UniRepLKNet(config), ClassificationHead(config.dims[-1], ["?"] * 1000)).eval()


def parameters(model: nn.Module) -> int:
    return sum(value.numel() for value in model.parameters())


def giga_multiply_adds(model: nn.Module, side: int) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, 3, side, side, device="meta"))
    return counter.get_total_flops() / 2e9


def test_every_published_size_is_counted() -> None:
    assert VARIANTS.keys() == COUNTS.keys()


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters_and_multiply_adds_are_the_published_ones(name: str) -> None:
    training, published = classifier(name), COUNTS[name]
    deploy = reparameterize(training)
    assert parameters(training) == published.training
    assert parameters(deploy) == published.deploy
    assert giga_multiply_adds(training, 224) == pytest.approx(published.giga_training_224, abs=6e-4)
    assert giga_multiply_adds(deploy, 224) == pytest.approx(published.giga_deploy_224, abs=6e-4)
    assert giga_multiply_adds(deploy, 384) == pytest.approx(published.giga_deploy_384, abs=6e-4)


@pytest.mark.parametrize(
    ("depth", "large"), [(6, 6), (8, 8), (18, 9), (27, 9)], ids=["short", "nano", "tiny", "small and up"]
)
def test_third_stage_has_the_published_large_kernels_a_large_one_first(depth: int, large: int) -> None:
    first, second, third, fourth = default_kernel_sizes((3, 3, depth, 3))
    assert (first, second, fourth) == ((3, 3, 3), (13, 13, 13), (13, 13, 13))
    assert third == ((13,) + (3,) * (depth // large - 1)) * large


def test_variant_replaces_fields_and_refuses_unknown_names_and_fields() -> None:
    assert variant("s", in_chans=1) == replace(VARIANTS["s"], in_chans=1)
    with pytest.raises(ValueError, match="variant 'g' is unknown, expected one of a, f, p"):
        variant("g")
    with pytest.raises(TypeError, match="disable_iGEMM"):
        variant("a", disable_iGEMM=True)


def test_config_survives_a_trip_through_lists() -> None:
    lists = {**asdict(TINY), "kernel_sizes": [list(sizes) for sizes in TINY.kernel_sizes], "dims": list(TINY.dims)}
    assert BackboneConfig(**lists) == TINY


@pytest.mark.parametrize("changes", [{"depths": (1, 1, 2)}, {"dims": (4, 8, 16, 32, 64)}])
def test_other_than_four_stages_are_refused(changes: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="must name 4 stages each"):
        replace(TINY, **changes)  # type: ignore[arg-type]


def test_kernel_sizes_that_do_not_match_the_depths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"kernel_sizes name \(1, 1, 2, 1\) blocks per stage, depths say"):
        replace(TINY, depths=(1, 1, 3, 1))


def test_published_rule_doubles_the_width_every_stage() -> None:
    assert backbone_config((2, 2, 6, 2), 10).dims == (10, 20, 40, 80)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (33, 50), (1, 7)])
def test_maps_halve_rounding_up_for_any_input_size(height: int, width: int) -> None:
    maps = UniRepLKNet(TINY).eval()(torch.zeros(2, 3, height, width))
    expected = [(2, dim, -(-height // s), -(-width // s)) for dim, s in zip(TINY.dims, (4, 8, 16, 32), strict=True)]
    assert [tuple(x.shape) for x in maps] == expected


def test_input_channels_and_kernel_sizes_follow_the_config() -> None:
    config = variant("a", in_chans=1, kernel_sizes=(*VARIANTS["a"].kernel_sizes[:3], (11, 11)))
    with torch.device("meta"):
        model = UniRepLKNet(config)
        assert model(torch.empty(1, 1, 64, 64))[-1].shape == (1, 320, 2, 2)
    last = [module.kernel_size for module in model.stages[3].modules() if isinstance(module, DilatedReparamConv)]
    assert last == [11, 11]


def test_dense_prediction_normalises_each_map_and_leaves_the_trunk_alone() -> None:
    plain = randomize(UniRepLKNet(TINY))
    dense = UniRepLKNet(replace(TINY, normalized_features=True)).eval()
    dense.load_state_dict(plain.state_dict(), strict=False)  # the norms start at scale 1 and shift 0
    x = torch.randn(2, 3, 64, 48)
    for raw, normed in zip(plain(x), dense(x), strict=True):
        torch.testing.assert_close(normed, (raw - raw.mean(1, True)) / (raw.var(1, False, keepdim=True) + 1e-6).sqrt())


def test_gradient_reaches_every_parameter_in_training_form() -> None:
    config = replace(TINY, dims=(32, 32, 32, 32), normalized_features=True)  # narrow gates may be dead, all of them
    model = randomize(UniRepLKNet(config)).train()
    sum((x**3).mean() for x in model(torch.randn(2, 3, 64, 64))).backward()
    missed = [k for k, value in model.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert missed == []


def test_recomputing_activations_gives_the_same_gradients() -> None:
    gradients = []
    for recompute in (False, True):
        model = randomize(UniRepLKNet(TINY)).train()
        model.checkpoint_gradients = recompute
        torch.manual_seed(0)
        model(torch.ones(2, 3, 64, 64).cumsum(2))[-1].square().sum().backward()
        gradients.append([value.grad for value in model.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain, rtol=0, atol=0)


def test_paths_drop_whole_samples_while_training_and_never_at_inference() -> None:
    layer, x = DropPath(0.5), torch.ones(400, 2, 3, 3)
    assert layer.eval()(x) is x
    torch.manual_seed(0)
    rows = layer.train()(x).flatten(1)
    assert set(rows.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(rows.min(1).values, rows.max(1).values)
    assert float(rows.mean()) == pytest.approx(1, abs=0.2)


def test_block_passes_a_dropped_sample_on_unchanged() -> None:
    block, x = randomize(UniRepLKNetBlock(8, 3, drop_path=0.5)), torch.randn(32, 8, 6, 6)
    torch.manual_seed(0)
    unchanged = (block.train()(x) == x).flatten(1).all(1)
    assert 0 < int(unchanged.sum()) < 32
    assert not (block.eval()(x) == x).flatten(1).all(1).any()


def test_drop_rate_grows_from_zero_at_the_first_block_to_the_given_rate_at_the_last() -> None:
    model = UniRepLKNet(replace(TINY, drop_path=0.4))
    rates = [module.rate for module in model.modules() if isinstance(module, DropPath)]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
