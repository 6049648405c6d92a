import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from models.checkpoint import Checkpoint
from models.config import BackboneConfig
from models.description import Structure
from models.postprocessors.classification import ClassificationOptions
from preprocessors.image import ImageOptions
from service.cli import app
from service.pipeline import load_pipeline
from service.settings import Settings
from training.image import ImageClassification
from training.job import Job, train
from training.recipe import Recipe
from training.run import EpochRecord

SIZE = 32


class Killed(Exception):
    pass


class Watcher:
    """Progress that may end the run after an epoch, as a kill would."""

    def __init__(self, last_epoch: int | None = None) -> None:
        self.last_epoch = last_epoch

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        if self.last_epoch is not None and epoch > self.last_epoch:
            raise Killed

    def epoch(self, record: EpochRecord) -> None:
        pass


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noisy pictures of upright and of level stripes: a task that colour and brightness do not give away."""
    root = tmp_path_factory.mktemp("stripes")
    rng = np.random.default_rng(0)
    for split, count in (("train", 24), ("validation", 8), ("test", 8)):
        for label in ("level", "upright"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                wave = 127 + 100 * np.sin(np.arange(48) * 0.8 + rng.uniform(0, 6))
                plane = np.broadcast_to(wave[:, None] if label == "level" else wave[None], (48, 48))
                noisy = plane[..., None] + rng.normal(0, 12, (48, 48, 3))
                Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
    return root


@pytest.fixture
def job(stripes: Path, tmp_path: Path, tiny_config: BackboneConfig) -> Job:
    recipe = Recipe(epochs=3, batch_size=16, warmup_epochs=1, learning_rate=4e-3, ema_decay=0.9, drop_path=0.1)
    backbone = replace(tiny_config, layer_scale_init=0.1)
    return Job(stripes, tmp_path / "run", "stripes", backbone, ImageClassification(size=SIZE), recipe)


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return Checkpoint.load(checkpoint).state_dict


def test_a_killed_run_goes_on_to_the_same_weights(job: Job, tmp_path: Path) -> None:
    unbroken = weights(train(job, Watcher()))
    again = replace(job, out=tmp_path / "again")
    with pytest.raises(Killed):
        train(again, Watcher(last_epoch=0))
    early = train(replace(again, stop_after=2), Watcher())
    assert Checkpoint.load(early).card.training["epochs_trained"] == 2
    resumed = weights(train(again, Watcher()))
    assert unbroken.keys() == resumed.keys()
    assert all(torch.equal(unbroken[key], resumed[key]) for key in unbroken)


def test_a_run_is_not_resumed_with_another_recipe(job: Job) -> None:
    train(job, Watcher())
    with pytest.raises(ValueError, match="was trained with other weight_decay: use another folder"):
        train(replace(job, recipe=replace(job.recipe, weight_decay=0.1)), Watcher())


def test_a_finished_run_is_evaluated_at_another_size_without_training(job: Job) -> None:
    trained = replace(job, task=ImageClassification(size=SIZE, train_size=SIZE))
    before = weights(train(trained, Watcher()))
    other = replace(job, task=ImageClassification(size=SIZE + 8, crop=1.0, train_size=SIZE))
    again = train(other, Watcher(last_epoch=-1))
    assert Checkpoint.load(again).preprocessor["size"] == SIZE + 8
    assert all(torch.equal(before[key], value) for key, value in weights(again).items())


def test_the_trained_model_is_served_as_it_was_tested(stripes: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    flags = f"--size {SIZE} --depths 1,1,1,1 --width 8 --epochs 12 --batch-size 16 --lr 0.006 --warmup-epochs 1"
    off = "--ema-decay 0.9 --no-trivial-augment --mix-probability 0 --erasing 0 --layer-scale 0.1 --smallest-crop 0.6"
    names = "--name stripes --source drawn --licence CC0-1.0 --device cpu"
    arguments = ["train", "image", str(stripes), "--out", str(out), *f"{flags} {off} {names}".split()]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output

    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] >= 0.9
    assert len(metrics["epochs"]) == 12
    with Image.open(out / "curve.png") as curve:
        assert curve.width > 100

    pipeline = load_pipeline(out / "model.safetensors", Settings(device="cpu"))
    files = sorted((stripes / "test").rglob("*.png"))
    rows = pipeline.run([pipeline.preprocessor.decode(file.read_bytes(), ImageOptions()).array for file in files])
    answers = [
        pipeline.postprocessor.interpret([row], ClassificationOptions(top_k=1)).predictions[0].label for row in rows
    ]
    right = [answer == file.parent.name for answer, file in zip(answers, files, strict=True)]
    assert np.mean(right) == pytest.approx(metrics["test"]["accuracy"])
    card = pipeline.card
    assert (card.data, card.licence, card.split) == ("drawn", "CC0-1.0", "48 train, 16 validation, 16 test (given)")
    assert card.metrics["test_accuracy"] == pytest.approx(metrics["test"]["accuracy"], abs=1e-4)
    assert card.training["epochs"] == 12
    assert card.bfloat16_error is not None
    assert 1e-4 < card.bfloat16_error < 0.1


def unmeasured(path: Path) -> Checkpoint:
    """The checkpoint as an older version wrote it, in place."""
    checkpoint = Checkpoint.load(path)
    without = replace(checkpoint, card=replace(checkpoint.card, bfloat16_error=None))
    without.save(path)
    return checkpoint


@pytest.mark.parametrize("name", ["model", "training"])
def test_a_finished_checkpoint_is_measured_as_training_would_have(job: Job, name: str) -> None:
    path = train(job, Watcher()).with_stem(name)
    trained = unmeasured(path)
    arguments = ["measure-bfloat16", str(path), str(job.data), "--device", "cpu"]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    assert f"{trained.card.bfloat16_error:.2e} of the largest output" in found.output
    assert Checkpoint.load(path).card.bfloat16_error is None

    assert CliRunner().invoke(app, [*arguments, "--write"]).exit_code == 0
    written = Checkpoint.load(path)
    assert written.card == trained.card
    assert written.version == trained.version
    assert replace(written, state_dict={}) == replace(trained, state_dict={})


def test_a_checkpoint_is_not_measured_on_data_that_cannot_be_read(job: Job, tmp_path: Path) -> None:
    path = train(job, Watcher())
    before = path.read_bytes()
    empty = tmp_path / "empty"
    empty.mkdir()
    result = CliRunner().invoke(app, ["measure-bfloat16", str(path), str(empty), "--write"])
    assert result.exit_code == 1
    assert "expected at least two folders" in result.output.replace("\n", " ")
    assert path.read_bytes() == before


def test_fine_tuning_starts_from_the_backbone_of_another_run(job: Job, tmp_path: Path) -> None:
    train(job, Watcher())
    initial = job.out / "training.safetensors"
    assert Checkpoint.load(initial).structure is Structure.TRAINING
    still = replace(job.recipe, epochs=1, learning_rate=0.0, final_learning_rate=0.0, ema_decay=0.0)
    tuned = train(replace(job, out=tmp_path / "tuned", initial=initial, recipe=still), Watcher())
    before, after = weights(initial), weights(tuned.parent / "training.safetensors")
    learned = [key for key in before if key.startswith("backbone.") and "norm" not in key]
    assert learned
    assert all(torch.equal(before[key], after[key]) for key in learned)


def test_fine_tuning_refuses_a_backbone_of_another_size(job: Job, tmp_path: Path) -> None:
    train(job, Watcher())
    wide = replace(job.backbone, dims=(16, 16, 24, 32))
    with pytest.raises(ValueError, match="choose the same variant"):
        train(replace(job, out=tmp_path / "wide", backbone=wide, initial=job.out / "training.safetensors"), Watcher())


def test_weights_can_be_stored_in_half_precision(job: Job) -> None:
    served = train(replace(job, half=True), Watcher())
    assert {value.dtype for value in weights(served).values()} == {torch.float16}
    assert served.stat().st_size < (job.out / "training.safetensors").stat().st_size / 2


def test_a_folder_that_cannot_be_trained_on_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", "image", str(tmp_path), "--out", str(tmp_path / "run")])
    assert result.exit_code == 1
    assert "expected at least two folders" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("wrong", [("--variant", "z"), ("--depths", "2,x")])
def test_an_impossible_backbone_is_refused_by_name(tmp_path: Path, wrong: tuple[str, str]) -> None:
    result = CliRunner().invoke(app, ["train", "image", str(tmp_path), "--out", str(tmp_path), *wrong])
    assert result.exit_code == 2
    assert repr(wrong[1]) in result.output


def test_crops_grow_to_their_full_size_in_steps() -> None:
    task = ImageClassification(size=100, first_size=64)
    sizes = [task.crop_size_at(epoch, 20) for epoch in range(20)]
    assert (sizes[0], sizes[16], sizes[19]) == (64, 100, 100)
    assert sizes == sorted(sizes)
    assert all(size % 8 == 0 for size in sizes[:16])


def test_crops_have_their_full_size_at_once_by_default() -> None:
    assert ImageClassification(size=100).crop_size_at(0, 20) == 100
