"""Where checkpoints are: names of files, before anything is read."""

from collections.abc import Sequence
from pathlib import Path

from models.description import CheckpointError

SUFFIX = ".safetensors"
HUB = "hub:"  # before a name that the authors published, where a file's path could be


def find_checkpoints(places: Sequence[Path]) -> list[Path]:
    """Files as given, folders as their checkpoints by name. Raises CheckpointError where nothing is found."""
    files: list[Path] = []
    for place in places:
        files += sorted(place.glob(f"*{SUFFIX}")) if place.is_dir() else [place]
    if not files:
        named = ", ".join(map(str, places))
        raise CheckpointError(f"no checkpoint (*{SUFFIX}) in {named}: train one with `unireplknet train`")
    return files
