"""What is measured of bfloat16, and who is then computed in it."""

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.checkpoint import Checkpoint
from models.description import ModelCard
from models.perception import PerceptionModel
from models.precision import AUTO, Precision
from models.precision_choice import choose_precision
from models.rounding import BFLOAT16_LIMIT, bfloat16_error
from service.pipeline import load_pipeline
from service.settings import Settings
from tests.models.runtimes.networks import maps, model

CPU = torch.device("cpu")
EXACT, ROUGH, UNKNOWN = (
    ModelCard("exact", bfloat16_error=1e-3),
    ModelCard("rough", bfloat16_error=0.1),
    ModelCard("old"),
)


@pytest.fixture(scope="module")
def network() -> PerceptionModel:
    return model()


@torch.inference_mode()
def test_the_error_is_the_largest_of_any_output_over_its_largest_number(network: PerceptionModel) -> None:
    batches = [maps(2, 3, 32, 32), maps(1, 3, 32, 32, seed=1)]
    rounded = copy.deepcopy(network).bfloat16()
    errors = []
    for name in ("logits", "embedding"):
        expected = torch.cat([network(x)[name] for x in batches])
        found = torch.cat([rounded(x.bfloat16())[name].float() for x in batches])
        errors.append(((found - expected).abs().max() / expected.abs().max()).item())
    assert bfloat16_error(network, batches) == pytest.approx(max(errors), rel=0.5)  # layouts round differently
    assert 1e-4 < max(errors) < 0.1


def test_measuring_leaves_the_model_as_it_was(network: PerceptionModel) -> None:
    before = copy.deepcopy(network.state_dict())
    bfloat16_error(network, [maps(1, 3, 32, 32)])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_what_cannot_be_measured_is_not_told() -> None:
    broken = model()
    torch.nn.init.constant_(broken.head.linear.bias, math.inf)  # type: ignore[union-attr, arg-type]
    assert bfloat16_error(broken, [maps(1, 3, 32, 32)]) is None
    assert bfloat16_error(broken, []) is None


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("card", [EXACT, ROUGH, UNKNOWN], ids=lambda card: card.name)
def test_bfloat16_takes_the_processor_and_the_card(
    monkeypatch: pytest.MonkeyPatch, card: ModelCard, native: bool
) -> None:
    monkeypatch.setattr("models.precision_choice.computes_bfloat16", lambda device: native)
    expected = Precision.BFLOAT16 if native and card is EXACT else Precision.FLOAT32
    assert choose_precision(AUTO, card, CPU) is expected


@pytest.mark.parametrize("precision", Precision)
def test_a_precision_that_is_named_is_obeyed(precision: Precision) -> None:
    assert choose_precision(precision, UNKNOWN, CPU) is precision


@pytest.mark.parametrize("error", [None, BFLOAT16_LIMIT])
def test_a_checkpoint_is_served_in_what_its_card_allows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_checkpoint: Path, error: float | None
) -> None:
    monkeypatch.setattr("models.precision_choice.computes_bfloat16", lambda device: True)
    checkpoint = Checkpoint.load(tiny_checkpoint)
    replace(checkpoint, card=replace(checkpoint.card, bfloat16_error=error)).save(tmp_path / "tiny.safetensors")
    pipeline = load_pipeline(tmp_path / "tiny.safetensors", Settings(device="cpu", runtime="torch", precision=AUTO))
    assert pipeline.predictor.precision is (Precision.FLOAT32 if error is None else Precision.BFLOAT16)
    assert pipeline.version == checkpoint.version
