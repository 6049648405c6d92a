import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models import checkpoint, source
from models.checkpoint import Checkpoint
from models.description import CheckpointError, read_description
from models.hub import HubError
from preprocessors.base import Array
from service.checkpoint_files import find_checkpoints
from service.pipeline import load_pipeline, load_pipelines
from service.settings import Settings

CPU = Settings(device="cpu")


def blocks(count: int) -> list[Array]:
    """Pictures of coarse colour blocks, which differ for the model as noise, all alike on average, would not."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return list(coarse.repeat(8, axis=1).repeat(8, axis=2))


def test_random_images_get_the_same_label_alone_and_in_any_batch(tiny_checkpoint: Path) -> None:
    pipeline = load_pipeline(tiny_checkpoint, CPU)
    samples = blocks(500)
    alone = np.stack([pipeline.run([sample])[0]["logits"] for sample in samples])
    for size in (2, 3, 16):
        rows = [row for i in range(0, 500, size) for row in pipeline.run(samples[i : i + size])]
        batched = np.stack([row["logits"] for row in rows])
        assert np.array_equal(batched.argmax(1), alone.argmax(1))
        assert np.abs(batched - alone).max() <= 1e-5 * np.abs(alone).max()
    assert len(set(alone.argmax(1).tolist())) > 1


def test_an_answer_that_is_not_a_number_is_an_error(tiny_checkpoint: Path) -> None:
    pipeline = load_pipeline(tiny_checkpoint, CPU)
    with torch.no_grad():
        next(pipeline.predictor.model.parameters()).fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="serve it in float32"):
        pipeline.run([pipeline.preprocessor.blank()])


def test_a_checkpoint_of_an_unknown_task_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    replace(Checkpoint.load(tiny_checkpoint), task="classify/smell").save(other)
    with pytest.raises(CheckpointError, match="'classify/smell', expected one of classify/image"):
        load_pipeline(other, CPU)


def test_options_of_another_version_are_named(tiny_checkpoint: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    replace(Checkpoint.load(tiny_checkpoint), preprocessor={"colour": 1}).save(other)
    with pytest.raises(CheckpointError, match="unexpected keyword argument 'colour'"):
        load_pipeline(other, CPU)


def test_two_models_of_one_name_are_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    shutil.copy(tiny_checkpoint, copy)
    with pytest.raises(CheckpointError, match="'tiny' is loaded already"):
        load_pipelines(Settings(checkpoints=(tiny_checkpoint, copy), device="cpu"))


def test_a_published_name_is_downloaded_and_read(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = Checkpoint.load(tiny_checkpoint)
    monkeypatch.setattr(source, "open_source", lambda name: SimpleNamespace(checkpoint=lambda as_name: published))
    pipeline = load_pipeline("hub:unireplknet_a_in1k", CPU)
    assert (pipeline.version, pipeline.source) == (published.version, "hub:unireplknet_a_in1k")


def test_a_published_name_that_cannot_be_had_is_an_error_of_the_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise HubError("there is no way to the hub")

    monkeypatch.setattr(source, "open_source", fail)
    with pytest.raises(CheckpointError, match="there is no way to the hub"):
        load_pipeline("hub:unireplknet_a_in1k", CPU)


@pytest.mark.parametrize("missing", ["structure", "card", "task"])
def test_a_checkpoint_that_leaves_something_out_is_refused(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    whole = read_description(tiny_checkpoint)
    rest = {key: value for key, value in whole.items() if key != missing}
    monkeypatch.setattr(checkpoint, "read_description", lambda path: rest)
    with pytest.raises(CheckpointError, match="does not describe a model as this version does: convert it again"):
        load_pipeline(tiny_checkpoint, CPU)


def test_a_folder_without_checkpoints_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="unireplknet train"):
        find_checkpoints([tmp_path])


def test_a_missing_cuda_device_is_named(tiny_checkpoint: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ValueError, match="choose cpu or auto"):
        load_pipeline(tiny_checkpoint, Settings(device="cuda"))


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_the_gpu_agrees_with_the_cpu(tiny_checkpoint: Path, precision: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    samples = blocks(8)
    expected = np.stack([row["logits"] for row in load_pipeline(tiny_checkpoint, CPU).run(samples)])
    pipeline = load_pipeline(tiny_checkpoint, Settings.model_validate({"device": "cuda", "precision": precision}))
    found = np.stack([row["logits"] for row in pipeline.run(samples)])
    tolerance = 1e-3 if precision == "float32" else 5e-2
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()
