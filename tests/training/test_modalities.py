"""Every modality is trained for by its own command, from files in class folders to a checkpoint that is served."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.random import Generator
from typer.testing import CliRunner

from models.checkpoint import Checkpoint
from models.postprocessors.classification import ClassificationOptions
from service.cli import app
from service.pipeline import load_pipeline
from service.settings import Settings
from tests.clouds import ply

COMMON = (
    "--depths 1,1,1,1 --width 8 --epochs 8 --batch-size 8 --lr 0.006 --warmup-epochs 1 --ema-decay 0.9 "
    "--layer-scale 0.1 --mix-probability 0 --device cpu --threads 1"
)


def tone(label: int, rng: Generator) -> bytes:
    """Rising or falling: the same frequencies, in another order."""
    time = np.arange(4000) / 8000
    phase = 2 * np.pi * (500 * time + (1 if label else -1) * 1400 * time**2 + (0 if label else 1400 * time))
    file = io.BytesIO()
    soundfile.write(file, rng.uniform(0.1, 0.5) * np.sin(phase) + rng.normal(0, 0.01, 4000), 8000, format="WAV")
    return file.getvalue()


def film(label: int, rng: Generator) -> bytes:
    """A bar that moves right or left: the same pictures, in another order."""
    file, start = io.BytesIO(), int(rng.integers(0, 8))
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for number in range(4):
            picture = np.full((32, 32, 3), 40, np.uint8)
            place = start + 5 * (number if label else 3 - number)
            picture[:, place : place + 6] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def blob(label: int, rng: Generator) -> bytes:
    """A ball or a rod."""
    return ply(rng.normal(size=(150, 3)) * ((1, 1, 1) if label else (1, 0.1, 0.1)))


MODALITIES: dict[str, tuple[Callable[[int, Generator], bytes], str, str]] = {
    "audio": (tone, "wav", "--sample-rate 8000 --mels 32 --frames 48 --mask-mels 4 --mask-frames 4 --shift 0"),
    "video": (film, "mp4", "--rows 2 --columns 2 --stride 1 --size 16 --smallest-crop 0.9"),
    "pointcloud": (
        blob,
        "ply",
        "--epochs 12 --points 64 --size 24 --view-width 8 --fusion-width 16 --heads 2 --neighbors 8 --stretch 0.1",
    ),
}


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_trained_model_is_served_as_it_was_tested(modality: str, tmp_path: Path) -> None:
    make, suffix, flags = MODALITIES[modality]
    rng = np.random.default_rng(0)
    for split, count in (("train", 16), ("validation", 4), ("test", 8)):
        for label, name in enumerate(("one", "other")):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                (folder / f"{i}.{suffix}").write_bytes(make(label, rng))
    out = tmp_path / "run"
    arguments = ["train", modality, str(tmp_path / "data"), "--out", str(out), *COMMON.split(), *flags.split()]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    tested = json.loads((out / "metrics.json").read_text())["test"]["accuracy"]
    assert tested >= 0.9

    pipeline = load_pipeline(out / "model.safetensors", Settings(device="cpu"))
    assert pipeline.path == f"classify/{modality}"
    files = sorted((tmp_path / "data" / "test").rglob(f"*.{suffix}"))
    option_type = pipeline.preprocessor.option_type
    rows = pipeline.run([pipeline.preprocessor.decode(file.read_bytes(), option_type()).array for file in files])
    best = [
        pipeline.postprocessor.interpret([row], ClassificationOptions(top_k=1)).predictions[0].label for row in rows
    ]
    assert np.mean([label == file.parent.name for label, file in zip(best, files, strict=True)]) == tested
    card = Checkpoint.load(out / "model.safetensors").card
    assert card.metrics["test_accuracy"] == pytest.approx(tested, abs=1e-4)
    assert modality in card.description


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_file_that_cannot_be_used_ends_training_with_its_name_before_it_starts(tmp_path: Path, split: str) -> None:
    for folder in ("train", "validation", "test"):
        for label in ("a", "b"):
            path = tmp_path / "data" / folder / label / "2.wav"
            path.parent.mkdir(parents=True)
            broken = (folder, label) == (split, "b")
            path.write_bytes(b"no sound" if broken else tone(0, np.random.default_rng(0)))
    result = CliRunner().invoke(app, ["train", "audio", str(tmp_path / "data"), "--out", str(tmp_path / "run")])
    assert result.exit_code == 1
    assert f"{split}/b/2.wav cannot be used" in result.output.replace("\n", "")
    assert not (tmp_path / "run" / "state.pt").exists()
