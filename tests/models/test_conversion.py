"""From the authors' file, or a published name, to a checkpoint that can be served and trained from."""

import json
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models import source
from models.checkpoint import Checkpoint
from models.class_names import class_names
from models.config import BackboneConfig, variant
from models.conversion import ConversionReport, convert
from models.description import CheckpointError, Structure
from models.heads.classification import ClassificationHead
from models.hub import Published, download
from models.perception import PerceptionModel
from models.rounding import BFLOAT16_LIMIT
from models.unireplknet import UniRepLKNet
from models.upstream_network import describe, from_upstream
from preprocessors.image import ImagePreprocessor
from tests.authors import SMALL, dense_weights, published_weights, serve_hub

LABELS = ["ant", "bee", "cat", "dog", "eel"]
IMAGE = torch.randn(2, 3, 96, 64, generator=torch.Generator().manual_seed(2))


def stored(folder: Path, weights: dict[str, Tensor], name: str = "theirs.pth") -> str:
    torch.save({"model": weights}, folder / name)
    return str(folder / name)


def reference_logits(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """Of the training form, in float64."""
    network = describe(weights)
    head = ClassificationHead(network.config.dims[-1], ["?"] * (network.classes or 0))
    model = PerceptionModel(UniRepLKNet(network.config), head)
    model.load_state_dict(from_upstream(weights, network, "reference"))
    with torch.inference_mode():
        logits: Tensor = model.double().eval()(x.double())["logits"]
    return logits


def logits_of(path: Path, x: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = Checkpoint.load(path).build(ClassificationHead)(x)["logits"]
    return logits.double()


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("structure", Structure)
def test_converted_classifier_gives_the_sources_logits(tmp_path: Path, structure: Structure) -> None:
    weights, out = published_weights(), tmp_path / "new" / "ours.safetensors"
    report = convert(stored(tmp_path, weights), out, name="ours", structure=structure, labels=LABELS)
    assert error(logits_of(out, IMAGE), reference_logits(weights, IMAGE)) < 1e-5
    checkpoint = Checkpoint.load(out)
    assert checkpoint.structure is report.structure is structure
    assert checkpoint.task == "classify/image"
    assert checkpoint.card.name == "ours"
    assert checkpoint.head["labels"] == LABELS
    assert BackboneConfig(**checkpoint.backbone) == SMALL


def test_report_tells_what_was_found_and_measured(tmp_path: Path) -> None:
    weights = published_weights()
    steps: list[str] = []
    theirs, out = stored(tmp_path, weights), tmp_path / "ours.safetensors"
    report = convert(theirs, out, name="ours", labels=LABELS, progress=steps.append)
    deploy = published_weights(structure=Structure.DEPLOY)
    assert report.max_relative_error is not None
    assert 0 < report.max_relative_error < 1e-5
    assert report == ConversionReport(
        checkpoint=out,
        source=Path(theirs),
        variant=None,
        source_structure=Structure.TRAINING,
        structure=Structure.DEPLOY,
        classes=5,
        parameters=sum(value.numel() for value in deploy.values()),
        max_relative_error=report.max_relative_error,
        half_relative_error=None,
        bfloat16_error=report.bfloat16_error,
        ignored={},
    )
    assert steps == ["read", "verify", "write"]


@pytest.mark.parametrize("structure", Structure)
def test_nothing_is_measured_where_nothing_was_fused(tmp_path: Path, structure: Structure) -> None:
    theirs = stored(tmp_path, published_weights(structure=structure))
    report = convert(theirs, tmp_path / "ours.safetensors", name="ours", structure=structure, labels=LABELS)
    assert report.max_relative_error is None
    assert error(logits_of(report.checkpoint, IMAGE), reference_logits(published_weights(), IMAGE)) < 1e-5


def test_half_precision_halves_the_file_and_tells_its_error(tmp_path: Path) -> None:
    weights = published_weights()
    convert(stored(tmp_path, weights), tmp_path / "full.safetensors", name="ours", labels=LABELS)
    report = convert(stored(tmp_path, weights), tmp_path / "half.safetensors", name="ours", labels=LABELS, half=True)
    floats = {value.dtype for value in Checkpoint.load(report.checkpoint).state_dict.values()}
    assert floats == {torch.float16}
    assert report.checkpoint.stat().st_size < 0.6 * (tmp_path / "full.safetensors").stat().st_size
    assert report.half_relative_error is not None
    assert 1e-5 < report.half_relative_error < 1e-2
    assert error(logits_of(report.checkpoint, IMAGE), reference_logits(weights, IMAGE)) < 1e-2


@pytest.mark.parametrize("structure", Structure)
def test_the_card_tells_what_bfloat16_does_to_the_logits(tmp_path: Path, structure: Structure) -> None:
    theirs, out = stored(tmp_path, published_weights()), tmp_path / "ours.safetensors"
    report = convert(theirs, out, name="ours", structure=structure, labels=LABELS)
    assert report.bfloat16_error is not None
    assert 1e-4 < report.bfloat16_error < BFLOAT16_LIMIT
    assert Checkpoint.load(out).card.bfloat16_error == report.bfloat16_error


def test_weights_that_half_precision_cannot_hold_are_refused(tmp_path: Path) -> None:
    weights = published_weights(structure=Structure.DEPLOY)
    weights["stages.0.0.pwconv1.1.bias"][0] = 1e6
    with pytest.raises(CheckpointError, match="storing ours in half precision changes the logits by nan"):
        convert(stored(tmp_path, weights), tmp_path / "out.safetensors", name="ours", labels=LABELS, half=True)
    assert not (tmp_path / "out.safetensors").exists()


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    weights = published_weights()
    weights["stages.1.0.norm.running_var"][3] = float("nan")
    with pytest.raises(CheckpointError, match="fusing ours changes the logits by nan of the largest, expected at most"):
        convert(stored(tmp_path, weights), tmp_path / "out.safetensors", name="ours", labels=LABELS)


def test_fusing_that_changes_the_answers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"dilated_to_dense": lambda weight, dilation, size: weight.new_zeros(*weight.shape[:2], size, size)}
    monkeypatch.setattr("models.reparam.dilated_to_dense", broken["dilated_to_dense"])
    with pytest.raises(CheckpointError, match="fusing ours changes the logits"):
        convert(stored(tmp_path, published_weights()), tmp_path / "out.safetensors", name="ours", labels=LABELS)


def test_published_name_is_downloaded_and_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = published_weights(variant("a"), classes=1000)
    stored(tmp_path, weights, "unireplknet_a_in1k_224_acc77.03.pth")
    with serve_hub(tmp_path) as (endpoint, _):
        monkeypatch.setattr(source, "download", partial(download, endpoint=endpoint, cache=tmp_path / "cache"))
        report = convert("unireplknet_a_in1k", tmp_path / "a.safetensors", name="a")
    assert (report.variant, report.classes, report.parameters) == ("a", 1000, 4_437_300)
    checkpoint = Checkpoint.load(report.checkpoint)
    assert tuple(checkpoint.head["labels"]) == class_names("ImageNet-1K")
    assert checkpoint.card.metrics == {"validation_accuracy": 0.7703}
    assert checkpoint.card.licence == "Apache-2.0"
    assert checkpoint.card.data == "ImageNet-1K"
    assert "stated by the authors, not measured here" in checkpoint.card.split
    assert checkpoint.card.training["file"] == "unireplknet_a_in1k_224_acc77.03.pth"
    assert error(logits_of(report.checkpoint, IMAGE), reference_logits(weights, IMAGE)) < 1e-5


def test_published_file_brings_its_size_and_any_other_has_224(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Published("unireplknet_s_in22k_to_in1k_384_acc86.44.pth", "tiny", 384, "five")
    monkeypatch.setattr(source, "PUBLISHED", {"published": row})
    monkeypatch.setattr(source, "DATASETS", {5: "five"})
    monkeypatch.setattr("models.upstream_network.VARIANTS", {"tiny": SMALL})
    for file, given, size in ((row.file, None, 384), (row.file, 256, 256), ("mine.pth", None, 224)):
        theirs = stored(tmp_path, published_weights(), file)
        options = source.open_source(theirs).checkpoint("ours", LABELS, given).preprocessor
        assert options["size"] == size


def test_preprocessor_options_are_the_image_preprocessors_defaults(tmp_path: Path) -> None:
    opened = source.open_source(stored(tmp_path, published_weights()))
    options = json.loads(json.dumps(opened.checkpoint("ours", LABELS).preprocessor))
    assert options.keys() == {field.name for field in fields(ImagePreprocessor)}
    given, default = asdict(ImagePreprocessor(**options)), asdict(ImagePreprocessor())
    assert {key: tuple(x) if isinstance(x, list) else x for key, x in given.items()} == default


def test_file_of_another_size_than_its_published_name_is_refused(tmp_path: Path) -> None:
    theirs = stored(tmp_path, published_weights(classes=1000), "unireplknet_t_in1k_224_acc83.21.pth")
    with pytest.raises(CheckpointError, match=r"depths \(1, 1, 2, 1\).* is not of size t, as which it was published"):
        convert(theirs, tmp_path / "out.safetensors", name="t")


def test_file_with_other_classes_than_its_published_name_is_refused(tmp_path: Path) -> None:
    theirs = stored(tmp_path, published_weights(variant("a"), 7), "unireplknet_a_in1k_224_acc77.03.pth")
    with pytest.raises(CheckpointError, match="has 7 classes, not those of ImageNet-1K"):
        convert(theirs, tmp_path / "out.safetensors", name="a", labels=["?"] * 7)


def test_trunk_without_a_classifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no classifier \(head.weight\), only a trunk"):
        convert(stored(tmp_path, dense_weights()), tmp_path / "out.safetensors", name="ours")


def test_classifier_of_other_channels_is_refused(tmp_path: Path) -> None:
    weights = published_weights(BackboneConfig(**{**asdict(SMALL), "in_chans": 1}))
    with pytest.raises(CheckpointError, match="takes 1 channels, and classify/image gives 3"):
        convert(stored(tmp_path, weights), tmp_path / "out.safetensors", name="ours", labels=LABELS)


def test_deploy_form_cannot_become_training_form(tmp_path: Path) -> None:
    theirs = stored(tmp_path, published_weights(structure=Structure.DEPLOY))
    with pytest.raises(CheckpointError, match="ours is in deploy form, whose branches cannot be told apart again"):
        convert(theirs, tmp_path / "out.safetensors", name="ours", structure=Structure.TRAINING, labels=LABELS)


def test_labels_are_asked_for_where_none_are_known_and_counted_where_given(tmp_path: Path) -> None:
    theirs, out = stored(tmp_path, published_weights()), tmp_path / "out.safetensors"
    with pytest.raises(CheckpointError, match="has 5 classes, which is no ImageNet's number: pass their labels"):
        convert(theirs, out, name="ours")
    with pytest.raises(CheckpointError, match="has 5 classes, and 4 labels were given"):
        convert(theirs, out, name="ours", labels=LABELS[:4])
    assert not out.exists()
