"""Data sets as their authors publish them become the folders that training reads."""

import csv
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from examples.camera_motion import CLIPS, MOTIONS, make
from examples.public_sets import SETS
from preprocessors.clouds.cloud_reader import read_cloud
from tests.clouds import CUBE, cloud, off, radhar
from tests.recordings import chirp, sound_file
from training.splits import find_splits


def test_esc_10_is_taken_out_of_esc_50_by_its_folds(tmp_path: Path) -> None:
    source, out = tmp_path / "ESC-50", tmp_path / "out"
    for folder in ("meta", "audio"):
        (source / folder).mkdir(parents=True)
    names = [f"{fold}-{number}-A-0.wav" for fold in range(1, 6) for number in range(2)]
    with (source / "meta" / "esc50.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["filename", "fold", "target", "category", "esc10", "src_file", "take"])
        for name in names:
            table.writerow([name, name[0], 0, "dog", "True", "1", "A"])
            table.writerow([f"x{name}", name[0], 1, "cat", "False", "1", "A"])
    for name in names:
        (source / "audio" / name).write_bytes(sound_file(chirp(0.1, 8000), 8000))
    SETS["esc10"](source, out)
    found = {split: sorted(path.name for path in (out / split / "dog").iterdir()) for split in ("train", "test")}
    assert found == {"train": names[:8], "test": names[8:]}
    assert sorted(path.name for path in (out / "validation" / "dog").iterdir()) == names[:3]
    assert sorted(path.name for path in (out / "train").iterdir()) == ["dog"]


def test_radar_recordings_are_cut_into_windows_of_two_seconds(tmp_path: Path) -> None:
    points, frames = cloud(400), [5] * 80
    for split, count in (("Train", 11), ("Test", 1)):
        folder = tmp_path / "RadHAR" / "Data" / split / "walk"
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"{number:02d}.txt").write_bytes(radhar(points, frames, -points[:, 0]))
    SETS["radhar"](tmp_path / "RadHAR", tmp_path / "out")
    files = {split: len(list((tmp_path / "out" / split / "walk").iterdir())) for split in ("train", "test")}
    assert files == {"train": 9 * 3, "test": 3}  # of 80 frames, windows of 60 begin at 0, 10 and 20
    assert len(list((tmp_path / "out" / "validation" / "walk").iterdir())) == 2 * 3
    _, second = read_cloud((tmp_path / "out" / "test" / "walk" / "00_001.ply").read_bytes(), 1000)
    np.testing.assert_array_equal(second.points, points[50:350].astype(np.float32))
    np.testing.assert_array_equal(second.attributes["velocity"], -points[50:350, 0].astype(np.float32))
    np.testing.assert_allclose(second.attributes["time"], np.repeat(np.arange(60) / 60, 5), atol=1e-6)


def test_meshes_of_modelnet10_are_sorted_by_their_split_first(tmp_path: Path) -> None:
    for shape, split in (("chair", "train"), ("chair", "test"), ("sofa", "train"), ("sofa", "test")):
        folder = tmp_path / "ModelNet10" / shape / split
        folder.mkdir(parents=True)
        for number in range(2):
            (folder / f"{shape}_{number}.off").write_bytes(off(CUBE))
    SETS["modelnet10"](tmp_path / "ModelNet10", tmp_path / "out")
    splits = find_splits(tmp_path / "out", [".off"])
    assert splits.labels == ("chair", "sofa")
    assert len(splits.test) == 4


def test_camera_motions_are_what_their_folders_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CLIPS, "train", 1)
    monkeypatch.setitem(CLIPS, "test", 1)
    for split in ("train", "test"):
        (tmp_path / "photos" / split).mkdir(parents=True)
        Image.fromarray(dots()).save(tmp_path / "photos" / split / "dots.png")
    make(tmp_path / "photos", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out" / "test").iterdir()} == MOTIONS.keys()
    shifts = {name: shift(tmp_path / "out" / "test" / name / f"{name}_000.mp4") for name in MOTIONS}
    assert shifts["pan_left"] > 5
    assert shifts["pan_right"] < -5
    assert abs(shifts["static"]) < 2


def dots() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """One bright disc on the dark, which is where the camera looks."""
    down, across = np.indices((300, 300)) - 150
    disc = (down**2 + across**2 < 20**2)[..., None] * np.uint8(200)
    return np.broadcast_to(disc, (300, 300, 3)).astype(np.uint8)


def shift(path: Path) -> float:
    """How far the bright disc moves to the right, in pixels."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="gray").astype(float) for frame in container.decode(video=0)]
    assert (len(frames), frames[0].shape) == (24, (96, 96))
    first, last = (
        (frame - frame.min()).sum(axis=0) @ np.arange(96) / (frame - frame.min()).sum()
        for frame in (frames[0], frames[-1])
    )
    return float(last - first)
