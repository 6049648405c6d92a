"""Class names of the data sets the authors trained on, in the order of the logits (models/labels/SOURCE.md)."""

import gzip
from functools import cache
from importlib.resources import files

CLASS_FILES = {"ImageNet-1K": "imagenet_1k.txt", "ImageNet-22K": "imagenet_22k.txt.gz"}
DATASETS = {1000: "ImageNet-1K", 21841: "ImageNet-22K"}


@cache
def class_table(dataset: str) -> tuple[tuple[str, str], ...]:
    """(WordNet id, names) of every class, by class index, which is the order of the ids.

    Raises ValueError for a data set without a table.
    """
    if dataset not in CLASS_FILES:
        raise ValueError(f"no class names of {dataset!r} are stored, expected one of {', '.join(CLASS_FILES)}")
    stored = files("models").joinpath("labels", CLASS_FILES[dataset])
    data = stored.read_bytes()
    text = (gzip.decompress(data) if stored.name.endswith(".gz") else data).decode()
    rows = (line.partition("\t") for line in text.splitlines())
    return tuple((wnid, names) for wnid, _, names in rows)


def class_names(dataset: str) -> tuple[str, ...]:
    """WordNet's names of every class, comma-separated synonyms; two classes may share them ("crane", twice)."""
    return tuple(names for _, names in class_table(dataset))
