"""A checkpoint file carries all that a network needs, and says what is wrong with it."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from models.checkpoint import Checkpoint
from models.description import CheckpointError, ModelCard, Structure, read_description
from models.heads.classification import ClassificationHead
from models.perception import PerceptionModel
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet
from tests.authors import SMALL
from tests.randomized import randomize

CARD = ModelCard("tiny", "for tests", "noise", "none", "all of it", {"test_accuracy": 0.2}, {"epochs": 3})
HEAD: dict[str, Any] = {"num_features": 32, "labels": ["ant", "bee"], "function_to_apply": "sigmoid"}


@pytest.fixture(scope="module")
def model() -> PerceptionModel:
    return randomize(PerceptionModel(UniRepLKNet(SMALL), ClassificationHead(**HEAD)))


def checkpoint_of(model: PerceptionModel, structure: Structure = Structure.TRAINING) -> Checkpoint:
    form = reparameterize(model) if structure is Structure.DEPLOY else model
    return Checkpoint("classify/image", {"size": 64}, asdict(SMALL), HEAD, structure, CARD, form.state_dict())


@pytest.mark.parametrize("structure", Structure)
def test_network_comes_back_as_it_was_saved(tmp_path: Path, model: PerceptionModel, structure: Structure) -> None:
    saved = checkpoint_of(model, structure)
    saved.save(tmp_path / "tiny.safetensors")
    loaded = Checkpoint.load(tmp_path / "tiny.safetensors")
    assert (loaded.task, loaded.structure, loaded.card) == ("classify/image", structure, CARD)
    assert (loaded.preprocessor, loaded.head) == ({"size": 64}, HEAD)
    built = loaded.build(ClassificationHead)
    assert not built.training
    assert built.backbone.config == SMALL
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = (reparameterize(model) if structure is Structure.DEPLOY else model)(x)
    torch.testing.assert_close(built(x)["logits"], expected["logits"])
    assert all(torch.equal(value, saved.state_dict[key]) for key, value in built.state_dict().items())


def test_half_precision_weights_are_built_in_float32_and_counters_stay_integers(model: PerceptionModel) -> None:
    full = checkpoint_of(model)
    half = {key: value.half() if value.is_floating_point() else value for key, value in full.state_dict.items()}
    built = replace(full, state_dict=half).build(ClassificationHead).state_dict()
    assert {value.dtype for value in built.values()} == {torch.float32, torch.int64}
    assert all(torch.equal(value, half[key].to(value.dtype)) for key, value in built.items())


def test_description_is_read_without_the_weights(tmp_path: Path, model: PerceptionModel) -> None:
    checkpoint_of(model).save(tmp_path / "tiny.safetensors")
    described = read_description(tmp_path / "tiny.safetensors")
    assert described["card"]["metrics"] == {"test_accuracy": 0.2}
    assert "state_dict" not in described


def test_version_follows_the_weights_alone(tmp_path: Path, model: PerceptionModel) -> None:
    saved = checkpoint_of(model)
    saved.save(tmp_path / "one.safetensors")
    replace(saved, card=ModelCard("renamed")).save(tmp_path / "two.safetensors")
    one, two = (Checkpoint.load(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    assert one.version == two.version == saved.version
    assert saved.version.startswith("sha256:")
    changed = {**saved.state_dict, "head.linear.bias": saved.state_dict["head.linear.bias"] + 1e-6}
    assert replace(saved, state_dict=changed).version != saved.version
    shuffled = dict(reversed(saved.state_dict.items()))
    assert replace(saved, state_dict=shuffled).version == saved.version


def test_interrupted_save_leaves_the_old_file(
    tmp_path: Path, model: PerceptionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tiny.safetensors"
    saved = checkpoint_of(model)
    saved.save(path)
    before = path.read_bytes()

    def interrupted(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(OSError, match="no space left"):
        replace(saved, card=ModelCard("new")).save(path)
    assert path.read_bytes() == before


def test_saving_leaves_no_other_file(tmp_path: Path, model: PerceptionModel) -> None:
    checkpoint_of(model).save(tmp_path / "tiny.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.safetensors"]


def test_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"absent\.safetensors does not exist"):
        Checkpoint.load(tmp_path / "absent.safetensors")


def test_file_of_another_kind_is_reported_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("hello")
    save_file({"weight": torch.zeros(1)}, tmp_path / "plain.safetensors")
    for name in ("text", "plain"):
        with pytest.raises(CheckpointError, match=r"is not a checkpoint of this project: convert it with"):
            Checkpoint.load(tmp_path / f"{name}.safetensors")


def test_other_format_version_is_reported(tmp_path: Path) -> None:
    described = json.dumps({"format": "unireplknet-checkpoint", "version": 99})
    save_file({"weight": torch.zeros(1)}, tmp_path / "new.safetensors", metadata={"checkpoint": described})
    with pytest.raises(CheckpointError, match="another format version, expected unireplknet-checkpoint 1"):
        Checkpoint.load(tmp_path / "new.safetensors")


def test_weights_that_do_not_fit_are_named_and_long_lists_are_cut(model: PerceptionModel) -> None:
    saved = checkpoint_of(model)
    weights = {key: value for key, value in saved.state_dict.items() if "branches.0" not in key}
    weights["head.linear.weight"] = torch.zeros(3, 32)
    weights["head.other"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as refusal:
        replace(saved, state_dict=weights).build(ClassificationHead)
    told = str(refusal.value)
    assert "weights of tiny do not fit" in told
    assert "18 missing (backbone.stages.1.0.dwconv.branches.0.conv.weight, " in told
    assert "and 12 more" in told
    assert "1 not of this network (head.other)" in told
    assert "1 of another shape (head.linear.weight: (3, 32), expected (2, 32))" in told


def test_deploy_weights_do_not_pass_for_training_weights(model: PerceptionModel) -> None:
    deploy = checkpoint_of(model, Structure.DEPLOY)
    with pytest.raises(CheckpointError, match="missing"):
        replace(deploy, structure=Structure.TRAINING).build(ClassificationHead)
