from pathlib import Path

import pytest

from training.dataset_error import DatasetError
from training.splits import find_splits


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_given_splits_are_kept(tmp_path: Path) -> None:
    touch(tmp_path, "train/b/1.jpg", "train/a/2.JPG", "train/a/notes.txt", "val/a/3.jpg", "test/b/4.jpg")
    splits = find_splits(tmp_path, (".jpg",))
    assert splits.labels == ("a", "b")
    assert [(e.path.name, e.class_ids) for e in splits.train] == [("2.JPG", (0,)), ("1.jpg", (1,))]
    assert splits.targets(splits.validation).tolist() == [0]
    assert splits.targets(splits.test).tolist() == [1]
    assert splits.origin == "given"


def test_absent_splits_are_drawn_from_every_class_without_overlap(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{label}/{i}.jpg" for label in ("a", "b") for i in range(20)))
    splits = find_splits(tmp_path, (".jpg",), seed=3)
    parts = [{e.path for e in part} for part in (splits.train, splits.validation, splits.test)]
    assert sorted(map(len, parts)) == [4, 4, 32]
    assert len(set.union(*parts)) == 40
    assert set(splits.targets(splits.test).tolist()) == {0, 1}
    assert splits == find_splits(tmp_path, (".jpg",), seed=3)
    assert splits != find_splits(tmp_path, (".jpg",), seed=4)
    assert "validation and test drawn from train with seed 3" in splits.origin


@pytest.mark.parametrize("names", [(), ("a/1.jpg",), ("a/1.txt", "b/2.txt")])
def test_a_folder_that_holds_no_classes_says_what_is_expected(tmp_path: Path, names: tuple[str, ...]) -> None:
    touch(tmp_path, *names)
    with pytest.raises(DatasetError, match=r"expected at least two folders with files ending in \.jpg, such as"):
        find_splits(tmp_path, (".jpg",))


def test_a_given_split_without_files_is_refused_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "test/c/3.jpg")
    with pytest.raises(DatasetError, match=r"test holds no file of any class in .*train: fill it, or remove it"):
        find_splits(tmp_path, (".jpg",))
