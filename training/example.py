"""One labelled file of a data set."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Example:
    """class_ids: numbers of its labels; one, where the classes exclude each other."""

    path: Path
    class_ids: tuple[int, ...]
