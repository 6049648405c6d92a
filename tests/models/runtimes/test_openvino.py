"""A backbone compiled by OpenVINO against the same backbone in torch."""

import importlib.util
import sys

import pytest
import torch
from torch import Tensor

from models.heads.classification import ClassificationHead
from models.layers import LayerNorm2d
from models.perception import PerceptionModel
from models.precision import Precision
from models.runtimes.base import Compiled, Target, Untranslatable
from models.runtimes.openvino import OpenVinoRuntime, without_telemetry
from models.unireplknet import UniRepLKNet
from tests.models.runtimes.networks import CONFIG, backbone, maps, model
from tests.oracle import relative_error
from tests.randomized import randomize

pytestmark = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")

TOLERANCE = 2e-6
RUNTIME = OpenVinoRuntime()
CPU = torch.device("cpu")


def compiled(network: PerceptionModel, precision: Precision = Precision.FLOAT32) -> Compiled:
    return RUNTIME.compile(network, Target(CPU, precision))


@pytest.fixture(scope="module")
def pair() -> tuple[PerceptionModel, Compiled]:
    return model(), compiled(model())


@torch.inference_mode()
def features(network: PerceptionModel, x: Tensor) -> tuple[Tensor, ...]:
    found: tuple[Tensor, ...] = network.backbone(x)
    return found


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (5, 3, 37, 50), (2, 3, 32, 96)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_every_map_is_torchs_at_any_batch_and_size(
    pair: tuple[PerceptionModel, Compiled], shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    original, translated = pair
    x = maps(*shape).contiguous(memory_format=layout)
    expected, found = features(original, x), features(translated.model, x)  # type: ignore[arg-type]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert relative_error(ours, theirs.double().numpy()) < TOLERANCE


def test_the_answer_is_torchs(pair: tuple[PerceptionModel, Compiled]) -> None:
    original, translated = pair
    x = maps(3, 3, 48, 48)
    with torch.inference_mode():
        expected, found = original(x), translated(x)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert relative_error(found[name], value.double().numpy()) < TOLERANCE


def test_maps_of_one_call_outlive_the_next(pair: tuple[PerceptionModel, Compiled]) -> None:
    first = features(pair[1].model, maps(1, 3, 32, 32))  # type: ignore[arg-type]
    before = [kept.clone() for kept in first]
    features(pair[1].model, maps(1, 3, 32, 32, seed=1))  # type: ignore[arg-type]
    assert all(torch.equal(kept, copy) for kept, copy in zip(first, before, strict=True))


def test_training_form_is_not_translated() -> None:
    network = PerceptionModel(randomize(UniRepLKNet(CONFIG)), ClassificationHead(CONFIG.dims[-1], ["ant"]))
    with pytest.raises(Untranslatable, match="Stem has no translation"):
        compiled(network)


def test_a_translation_that_computes_something_else_is_refused(
    pair: tuple[PerceptionModel, Compiled], monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.runtimes.openvino_graph import TRANSLATIONS

    monkeypatch.setitem(TRANSLATIONS, LayerNorm2d, lambda layer, x: x)
    with pytest.raises(Untranslatable, match="stage 1 is off by"):
        compiled(model())


@pytest.mark.parametrize("precision", [Precision.BFLOAT16, Precision.FLOAT16])
def test_half_precision_is_told_only_where_the_processor_has_it(
    pair: tuple[PerceptionModel, Compiled], precision: Precision
) -> None:
    import openvino

    names = {Precision.BFLOAT16: "BF16", Precision.FLOAT16: "FP16"}
    has = names[precision] in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    rounded = compiled(model(), precision)
    assert rounded.precision is (precision if has else Precision.FLOAT32)
    x = maps(2, 3, 64, 64)
    with torch.inference_mode():
        expected, found = pair[0](x)["logits"], rounded(x)["logits"]
    assert (found - expected).norm() < (0.1 if has else TOLERANCE) * expected.norm()


def test_it_uses_as_many_threads_as_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    with without_telemetry():
        import openvino
    from models.runtimes.openvino_backbone import properties
    from models.runtimes.openvino_graph import graph

    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    network = openvino.Core().compile_model(graph(backbone()), "CPU", properties(Precision.FLOAT32))
    assert network.get_property("INFERENCE_NUM_THREADS") == 2
    assert network.get_property("NUM_STREAMS") == 1


def test_nothing_is_told_to_its_maker(pair: tuple[PerceptionModel, Compiled]) -> None:
    assert "openvino_telemetry" not in sys.modules
    assert sys.modules["openvino.tools.ovc.telemetry_utils"].tm.__name__.endswith("stub")
