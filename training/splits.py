"""The training, validation and test splits of labelled files in class folders."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.dataset_error import DatasetError
from training.example import Example

SPLIT_NAMES = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
HELD_OUT = 0.1


@dataclass(frozen=True)
class Splits:
    """labels: class names in alphabetical order, as ImageFolder numbers them. origin: how it was split.

    multi_label: whether an example may have any number of labels.
    """

    labels: tuple[str, ...]
    train: Sequence[Example]
    validation: Sequence[Example]
    test: Sequence[Example]
    origin: str
    multi_label: bool = False

    def targets(self, examples: Sequence[Example]) -> Tensor:
        """(N,) class ids; (N, classes) of ones and zeros where an example may have several."""
        if not self.multi_label:
            return torch.tensor([example.class_ids[0] for example in examples])
        targets = torch.zeros(len(examples), len(self.labels))
        for row, example in zip(targets, examples, strict=True):
            row[list(example.class_ids)] = 1
        return targets


HoldOut = Callable[[list[Example], random.Random], tuple[list[Example], list[Example]]]


def find_splits(root: Path, suffixes: Iterable[str], seed: int = 0) -> Splits:
    """Read `root/{train,validation,test}/<class>/*`, or `root/<class>/*`; a split that is absent is made.

    A tenth of each class is held out for every split that must be made, drawn by `seed`.
    """
    folders = {name: _first_folder(root, aliases) for name, aliases in SPLIT_NAMES.items()}
    source = folders["train"] or root
    labels = tuple(sorted(folder.name for folder in source.iterdir() if folder.is_dir())) if source.is_dir() else ()
    wanted = frozenset(suffixes)
    train = _examples(source, labels, wanted)
    if len(labels) < 2 or not train:
        raise DatasetError(
            f"{source} holds {len(train)} files in {len(labels)} class folders, expected at least two folders with "
            f"files ending in {', '.join(sorted(wanted))}, such as {source}/cat/1.jpg"
        )
    given = {"train": train}
    for name, folder in folders.items():
        if name == "train" or folder is None:
            continue
        given[name] = _examples(folder, labels, wanted)
        if not given[name]:
            raise DatasetError(f"{folder} holds no file of any class in {source}: fill it, or remove it to draw one")
    return completed(labels, given, seed, _hold_out)


def completed(
    labels: tuple[str, ...],
    given: Mapping[str, list[Example]],
    seed: int,
    hold_out: HoldOut,
    multi_label: bool = False,
) -> Splits:
    """With the splits for validation and test that are given, or drawn from the training examples."""
    parts, made = dict(given), []
    for name in ("validation", "test"):
        if not parts.get(name):
            parts[name], parts["train"] = hold_out(parts["train"], random.Random(f"{seed} {name}"))
            made.append(name)
    if not all(parts.values()):
        sizes = ", ".join(f"{len(part)} for {name}" for name, part in parts.items())
        raise DatasetError(f"there are too few files: {sizes}; at least one is needed for each")
    origin = f"given, but {' and '.join(made)} drawn from train with seed {seed}" if made else "given"
    return Splits(labels, parts["train"], parts["validation"], parts["test"], origin, multi_label)


def _first_folder(root: Path, names: Iterable[str]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _examples(folder: Path, labels: Sequence[str], suffixes: frozenset[str]) -> list[Example]:
    return [
        Example(path, (class_id,))
        for class_id, label in enumerate(labels)
        for path in sorted((folder / label).glob("*"))
        if path.suffix.lower() in suffixes
    ]


def _hold_out(examples: list[Example], rng: random.Random) -> tuple[list[Example], list[Example]]:
    """Held-out and remaining examples, a tenth of every class and at least one."""
    held: set[Example] = set()
    for ids in sorted({example.class_ids for example in examples}):
        members = [example for example in examples if example.class_ids == ids]
        held.update(rng.sample(members, max(1, round(HELD_OUT * len(members)))))
    return [e for e in examples if e in held], [e for e in examples if e not in held]
