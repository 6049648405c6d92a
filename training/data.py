"""Labelled files in class folders, and the splits they are trained, chosen and judged on."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SPLIT_NAMES = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
HELD_OUT = 0.1


class DatasetError(Exception):
    """A data folder that cannot be trained on, and what it should look like."""


@dataclass(frozen=True)
class Example:
    path: Path
    class_id: int


@dataclass(frozen=True)
class Splits:
    """labels: class names in alphabetical order, as ImageFolder numbers them. origin: how it was split."""

    labels: tuple[str, ...]
    train: Sequence[Example]
    validation: Sequence[Example]
    test: Sequence[Example]
    origin: str


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
    made = []
    given: dict[str, list[Example]] = {}
    for name in ("validation", "test"):
        folder = folders[name]
        if folder is None:
            given[name], train = _hold_out(train, random.Random(f"{seed} {name}"))
            made.append(name)
        else:
            given[name] = _examples(folder, labels, wanted)
            if not given[name]:
                raise DatasetError(
                    f"{folder} holds no file of any class in {source}: fill it, or remove it to draw one"
                )
    origin = f"given, but {' and '.join(made)} drawn from train with seed {seed}" if made else "given"
    return Splits(labels, train, given["validation"], given["test"], origin)


def _first_folder(root: Path, names: Iterable[str]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _examples(folder: Path, labels: Sequence[str], suffixes: frozenset[str]) -> list[Example]:
    return [
        Example(path, class_id)
        for class_id, label in enumerate(labels)
        for path in sorted((folder / label).glob("*"))
        if path.suffix.lower() in suffixes
    ]


def _hold_out(examples: Sequence[Example], rng: random.Random) -> tuple[list[Example], list[Example]]:
    """Held-out and remaining examples, a tenth of every class and at least one."""
    held: set[Example] = set()
    for class_id in {example.class_id for example in examples}:
        members = [example for example in examples if example.class_id == class_id]
        held.update(rng.sample(members, max(1, round(HELD_OUT * len(members)))))
    return [e for e in examples if e in held], [e for e in examples if e not in held]
