"""Our network against stored outputs of the authors' code, in float32, at a tolerance below every known mistake."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kernels.backends import BACKENDS
from kernels.dispatch import forced_backend
from models.block import UniRepLKNetBlock
from models.config import BackboneConfig, variant
from models.description import Structure
from models.heads.classification import ClassificationHead
from models.layers import GlobalResponseNorm, LayerNorm2d, SqueezeExcite
from models.perception import PerceptionModel
from models.reparam import DilatedReparamConv, depthwise_from, reparameterize
from models.unireplknet import Stem, UniRepLKNet, downsample
from models.upstream import to_upstream, upstream_name
from models.upstream_network import describe, from_upstream
from tests.conftest import SharedPath
from tests.kernels.problems import DEVICE, needs_triton
from tests.oracle import Case, relative_error

TOLERANCE = 2e-6
SUM_TOLERANCE = 2e-6
BLOCKS = ["lark_k13_c16", "lark_k13_c20_eps", "smak_k3_c16", "smak_k3_c20_eps"]

ReadCase = Callable[[str], Case]


@pytest.fixture(scope="module")
def read_case(shared_path: SharedPath) -> ReadCase:
    return lambda name: Case.read(shared_path(f"oracle/{name}.json"))


@pytest.fixture(scope="module")
def classifier_case(read_case: ReadCase) -> Case:
    return read_case("a_224")


def load(module: nn.Module, weights: dict[str, Tensor]) -> Any:
    shapes = {key: value.shape for key, value in module.state_dict().items()}
    module.load_state_dict({key: value.reshape(shapes.get(key, value.shape)) for key, value in weights.items()})
    return module.eval()


@pytest.fixture
def few_programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The largest blocks, where an interpreter runs them: its time goes by the operation, not by the number."""
    from kernels import triton_forward

    if DEVICE == "cpu":
        monkeypatch.setattr(triton_forward, "BUSY", 1)
    triton_forward.sliding_configs.cache_clear()
    yield
    triton_forward.sliding_configs.cache_clear()


def classifier(weights: dict[str, Tensor]) -> PerceptionModel:
    network = describe(weights)
    model = PerceptionModel(UniRepLKNet(network.config), ClassificationHead(network.config.dims[-1], ["?"] * 1000))
    if network.structure is Structure.DEPLOY:
        model = reparameterize(model)
    loaded: PerceptionModel = load(model, from_upstream(weights, network, "oracle"))
    return loaded


@torch.inference_mode()
def run(model: nn.Module, x: Tensor) -> Any:
    return model(x)


@pytest.fixture(scope="module")
def trained(classifier_case: Case) -> PerceptionModel:
    return classifier(classifier_case.weights())


def test_classifier_in_training_form_gives_the_authors_logits(classifier_case: Case, trained: PerceptionModel) -> None:
    logits = run(trained, classifier_case.input())["logits"]
    assert relative_error(logits, classifier_case.stored["logits_f64"]) < TOLERANCE
    assert relative_error(logits, classifier_case.stored["logits_train"]) < TOLERANCE


def test_reparameterized_classifier_gives_the_authors_logits(classifier_case: Case, trained: PerceptionModel) -> None:
    logits = run(reparameterize(trained), classifier_case.input())["logits"]
    assert relative_error(logits, classifier_case.stored["logits_f64"]) < TOLERANCE
    assert relative_error(logits, classifier_case.stored["logits_deploy"]) < TOLERANCE


def test_classifier_filled_in_deploy_form_gives_the_authors_logits(classifier_case: Case) -> None:
    model = classifier(classifier_case.weights("deploy_keys"))
    logits = run(model, classifier_case.input())["logits"]
    assert relative_error(logits, classifier_case.stored["logits_deployfill"]) < TOLERANCE


def test_every_stage_gives_the_authors_map(classifier_case: Case, trained: PerceptionModel) -> None:
    maps = run(trained.backbone, classifier_case.input())
    assert [list(x.shape) for x in maps] == classifier_case.about["stage_shapes"]
    for i, x in enumerate(maps, start=1):
        step = max(1, x.shape[2] // 7)
        sample = x[:, ::8, ::step, ::step]
        assert relative_error(x.mean(dim=(2, 3)), classifier_case.stored[f"stage{i}_mean"]) < TOLERANCE
        assert relative_error(sample, classifier_case.stored[f"stage{i}_sample"]) < TOLERANCE


def test_reparameterized_weights_have_the_authors_names_shapes_and_sums(
    classifier_case: Case, trained: PerceptionModel
) -> None:
    deployed = to_upstream(reparameterize(trained).state_dict(), variant("a"))
    expected = {key: (shape, sums) for key, shape, _, sums in classifier_case.about["deploy_sums"]}
    assert deployed.keys() == expected.keys()
    for key, (shape, (total, squares)) in expected.items():
        value = deployed[key].double()
        assert list(value.shape) == shape
        scale = squares * value.numel()  # bounds the square of any sum of this many values
        assert float(value.sum()) == pytest.approx(total, abs=SUM_TOLERANCE * scale**0.5), key
        assert float((value * value).sum()) == pytest.approx(squares, rel=SUM_TOLERANCE), key


@pytest.mark.parametrize("deploy", [False, True], ids=["training", "deploy"])
def test_dense_prediction_gives_the_authors_four_maps(read_case: ReadCase, deploy: bool) -> None:
    case = read_case("a_features_128x160")
    weights = case.weights()
    network = describe(weights)
    assert network.config == variant("a", normalized_features=True)
    ours = from_upstream(weights, network, "oracle")
    model = load(UniRepLKNet(network.config), {key.removeprefix("backbone."): x for key, x in ours.items()})
    for i, x in enumerate(run(reparameterize(model) if deploy else model, case.input())):
        rows, columns = (max(1, side // 7) for side in x.shape[2:])
        assert relative_error(x, case.stored[f"out{i}_f64"]) < TOLERANCE
        assert relative_error(x[:, ::8, ::rows, ::columns], case.stored[f"out{i}_deploy"]) < TOLERANCE


@pytest.mark.parametrize("name", ["drb_k5", "drb_k7", "drb_k13"])
def test_dilated_reparam_conv_gives_the_authors_output_and_merged_kernel(read_case: ReadCase, name: str) -> None:
    case = read_case(name)
    branches = [(k, r) for k, r in case.about["branches"]]
    names = {"lk_origin": "origin.conv", "origin_bn": "origin.norm"}
    for i, (k, r) in enumerate(branches):
        names |= {f"dil_conv_k{k}_{r}": f"branches.{i}.conv", f"dil_bn_k{k}_{r}": f"branches.{i}.norm"}
    weights = {f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": x for key, x in case.weights().items()}
    layer = load(DilatedReparamConv(6, case.about["kernel_size"]), weights)
    fused = reparameterize(layer)
    assert relative_error(run(layer, case.input()), case.stored["out_f64"]) < TOLERANCE
    assert relative_error(run(fused, case.input()), case.stored["out_f64"]) < TOLERANCE
    assert relative_error(fused.weight, case.stored["merged_weight"]) < TOLERANCE
    assert relative_error(fused.bias, case.stored["merged_bias"]) < TOLERANCE


def block_names(block: nn.Module, kernel_size: int) -> dict[str, str]:
    """Ours -> the authors', within one block."""
    config = BackboneConfig((1, 1, 1, 1), (16, 16, 16, 16), ((kernel_size,),) * 4)
    at = "stages.0.0."
    return {key: upstream_name(f"backbone.{at}{key}", config).removeprefix(at) for key in block.state_dict()}


@pytest.mark.parametrize("name", BLOCKS)
def test_block_gives_the_authors_output_and_fused_weights(read_case: ReadCase, name: str) -> None:
    case = read_case(name)
    size, weights, x = case.about["kernel_size"], case.weights(), case.input()
    block = UniRepLKNetBlock(case.about["channels"], size)
    load(block, {ours: weights[theirs] for ours, theirs in block_names(block, size).items()})
    fused = reparameterize(block)
    for form in (block, fused):
        assert relative_error(run(form, x), case.stored["out_f64"]) < TOLERANCE
        assert relative_error(run(form, x) - x, case.stored["residual_f64"]) < TOLERANCE
    stored = {key.removeprefix("deploy/"): x for key, x in case.stored.items() if key.startswith("deploy/")}
    names = block_names(fused, size)
    assert stored.keys() == set(names.values())
    for ours, value in fused.state_dict().items():
        assert relative_error(value.reshape(stored[names[ours]].shape), stored[names[ours]]) < TOLERANCE, ours


@needs_triton
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", BLOCKS)
def test_block_gives_the_authors_output_on_every_backend(
    read_case: ReadCase, few_programs: None, name: str, backend: str
) -> None:
    case = read_case(name)
    size, weights, x = case.about["kernel_size"], case.weights(), case.input().to(DEVICE)
    block = UniRepLKNetBlock(case.about["channels"], size)
    load(block, {ours: weights[theirs] for ours, theirs in block_names(block, size).items()})
    with forced_backend(backend):
        found = run(reparameterize(block).to(DEVICE), x).cpu()
    assert relative_error(found, case.stored["out_f64"]) < TOLERANCE
    assert relative_error(found - x.cpu(), case.stored["residual_f64"]) < TOLERANCE


@needs_triton
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["drb_k5", "drb_k7", "drb_k13"])
def test_merged_kernel_gives_the_authors_output_on_every_backend(
    read_case: ReadCase, few_programs: None, name: str, backend: str
) -> None:
    case = read_case(name)
    weight, bias = (torch.from_numpy(case.stored[f"merged_{part}"]).float() for part in ("weight", "bias"))
    x, layer = case.input().to(DEVICE), depthwise_from(weight, bias, like=weight).to(DEVICE)
    with forced_backend(backend):
        assert relative_error(run(layer, x).cpu(), case.stored["out_f64"]) < TOLERANCE


@pytest.mark.parametrize("name", ["grn_c32", "grn_c32_tiny"])
def test_response_norm_gives_the_authors_output(read_case: ReadCase, name: str) -> None:
    case = read_case(name)
    layer = load(GlobalResponseNorm(32, beta=name == "grn_c32"), case.weights())
    found = run(layer, case.input().permute(0, 2, 3, 1))
    assert relative_error(found, case.stored["out_f64"]) < TOLERANCE


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "se_c40": lambda: SqueezeExcite(40),
    "ln2d_c24": lambda: LayerNorm2d(24),
    "ln2d_c24_tiny": lambda: LayerNorm2d(24),
    "stem_a": lambda: Stem(3, 40),
    "down2_a": lambda: downsample(80, 160),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer_gives_the_authors_output(read_case: ReadCase, name: str) -> None:
    case = read_case(name)
    layer = load(LAYERS[name](), case.weights())
    assert relative_error(run(layer, case.input()), case.stored["out_f64"]) < TOLERANCE
