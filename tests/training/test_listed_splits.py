"""A table of files and their labels, of which each may have several."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.checkpoint import Checkpoint
from models.postprocessors.classification import ClassificationOptions
from service.cli import app
from service.pipeline import load_pipeline
from service.settings import Settings
from tests.recordings import sound_file, tone
from training.dataset_error import DatasetError
from training.listed_splits import listed_splits

FLAGS = (
    "--depths 1,1,1,1 --width 8 --epochs 25 --batch-size 8 --lr 0.006 --warmup-epochs 1 --ema-decay 0.9 "
    "--layer-scale 0.1 --mix-probability 0 --label-smoothing 0 --device cpu --threads 1 "
    "--sample-rate 8000 --mels 32 --frames 24 --mask-mels 0 --mask-frames 0 --speed 0 --shift 0 --noise 0"
)
PITCHES = {"low": 300, "high": 2500}


def table(folder: Path, text: str) -> Path:
    for line in text.splitlines()[1:]:
        (folder / line.split(",")[0]).touch()
    path = folder / "list.csv"
    path.write_text(text)
    return path


def test_labels_are_separated_by_semicolons_and_there_may_be_none(tmp_path: Path) -> None:
    splits = listed_splits(table(tmp_path, "file,labels,split\na,dog; cat,train\nb,,train\nc,cat,val\nd,ant,test\n"))
    assert (splits.labels, splits.multi_label, splits.origin) == (("ant", "cat", "dog"), True, "given")
    assert splits.targets(splits.train).tolist() == [[0, 1, 1], [0, 0, 0]]
    assert [splits.targets(part).tolist() for part in (splits.validation, splits.test)] == [[[0, 1, 0]], [[1, 0, 0]]]


def test_splits_that_are_not_named_are_drawn_by_the_seed(tmp_path: Path) -> None:
    path = table(tmp_path, "file,labels\n" + "".join(f"{i},{'dog' if i % 2 else 'cat;dog'}\n" for i in range(40)))
    splits = listed_splits(path, seed=3)
    parts = [{e.path for e in part} for part in (splits.train, splits.validation, splits.test)]
    assert sorted(map(len, parts)) == [4, 4, 32]
    assert len(set.union(*parts)) == 40
    assert splits == listed_splits(path, seed=3) != listed_splits(path, seed=4)


@pytest.mark.parametrize(
    ("text", "told"),
    [("name,labels\na,dog\n", "has no column file: expected a header such as file,labels"),
     ("file,labels,split\na,dog,train\nb,cat,trial\n", "line 3: the split is 'trial', expected one of train, valid"),
     ("file,labels\na,\n", "names no label"), ("file,labels\na,dog\n", "too few files: 1 for train, 0 for valid")],
)  # fmt: skip
def test_a_table_that_cannot_be_used_says_why(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=told):
        listed_splits(table(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = table(tmp_path, "file,labels\na,dog\nb,cat\n")
    (tmp_path / "b").unlink()
    with pytest.raises(DatasetError, match=r"list\.csv, line 3: there is no file .*/b"):
        listed_splits(path)


def test_a_model_of_several_labels_is_trained_and_scores_each_by_itself(tmp_path: Path) -> None:
    """Tones that sound together, alone, or not at all."""
    rng, rows = np.random.default_rng(0), ["file,labels,split"]
    for number in range(64):
        names = [name for bit, name in enumerate(PITCHES) if number >> bit & 1]
        noise = rng.normal(0, 0.005, 2400).astype(np.float32)
        samples = sum((tone(PITCHES[name], 0.3, 8000, rng.uniform(0.1, 0.3)) for name in names), noise)
        (tmp_path / f"{number}.wav").write_bytes(sound_file(samples, 8000))
        split = ("test", "validation")[number // 4 % 2] if number >= 48 else "train"
        rows.append(f"{number}.wav,{';'.join(names)},{split}")
    (tmp_path / "tones.csv").write_text("\n".join(rows))
    out = tmp_path / "run"
    arguments = ["train", "audio", str(tmp_path / "tones.csv"), "--out", str(out), *FLAGS.split()]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    card = Checkpoint.load(out / "model.safetensors").card
    assert card.name == "tones"
    assert card.metrics["test_average_precision"] > 0.9

    pipeline = load_pipeline(out / "model.safetensors", Settings(device="cpu"))
    both = (tmp_path / "51.wav").read_bytes()
    rows_of = pipeline.run(pipeline.preprocessor.decode(both, pipeline.preprocessor.option_type()).views)
    scores = [item.score for item in pipeline.postprocessor.interpret(rows_of, ClassificationOptions()).predictions]
    assert len(scores) == 2
    assert min(scores) > 0.5
