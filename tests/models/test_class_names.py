"""The class names that ship with the models."""

import csv

import pytest

from models.class_names import CLASS_FILES, DATASETS, class_names, class_table
from tests.conftest import SharedPath


@pytest.mark.parametrize(("classes", "dataset"), DATASETS.items())
def test_every_class_has_an_id_in_ascending_order_and_a_name(classes: int, dataset: str) -> None:
    table = class_table(dataset)
    ids = [wnid for wnid, _ in table]
    assert len(table) == len(set(ids)) == classes
    assert ids == sorted(ids)
    assert all(len(wnid) == 9 and wnid.startswith("n") and names.strip() for wnid, names in table)


def test_imagenet_1k_classes_have_the_same_names_in_imagenet_22k_but_for_one_that_is_not_in_it() -> None:
    small, large = dict(class_table("ImageNet-1K")), dict(class_table("ImageNet-22K"))
    assert [small[wnid] for wnid in small if wnid not in large] == ["teddy, teddy bear"]
    assert all(large[wnid] == names for wnid, names in small.items() if wnid in large)


def test_well_known_indices_have_their_names() -> None:
    names = class_names("ImageNet-1K")
    assert names[0] == "tench, Tinca tinca"
    assert names[207] == "golden retriever"
    assert names[999] == "toilet tissue, toilet paper, bathroom tissue"


def test_indices_and_names_are_those_of_an_independent_list(shared_path: SharedPath) -> None:
    with shared_path("data/image/imagenet_samples/index_to_class.csv").open() as file:
        rows = list(csv.DictReader(file))
    table = class_table("ImageNet-1K")
    assert len(rows) == 1000
    for row in rows:
        wnid, names = table[int(row["index"])]
        assert wnid == row["wnid"]
        assert row["name"].replace("_", " ").lower() in names.lower()


def test_dataset_without_names_is_refused() -> None:
    with pytest.raises(ValueError, match=f"'COCO' are stored, expected one of {', '.join(CLASS_FILES)}"):
        class_table("COCO")
