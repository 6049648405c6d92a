"""Where measured launch configurations are kept: a file for each device, in a folder for each pair of versions."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
import triton

from kernels.launch import Config

Table = dict[str, Config]  # case -> configuration

FOLDER_VARIABLE = "UNIREPLKNET_CACHE_FOLDER"


def cache_folder() -> Path:
    """$UNIREPLKNET_CACHE_FOLDER, or else $XDG_CACHE_HOME/unireplknet, or else ~/.cache/unireplknet."""
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unireplknet"


@dataclass(frozen=True)
class TuningCache:
    """Only a saving of time: what cannot be read counts as empty, and what cannot be written is measured again."""

    folder: Path

    def path(self, device: str) -> Path:
        """Times are those of a device, of Triton's compiler and of the library that the kernels are compared with."""
        name = "".join(letter if letter.isalnum() else "-" for letter in device)
        return self.folder / f"triton-{triton.__version__}-torch-{torch.__version__}".replace("+", "-") / f"{name}.json"

    def load(self, device: str) -> Table:
        try:
            content = json.loads(self.path(device).read_text())
            return {str(case): _config(found) for case, found in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def add(self, device: str, case: str, config: Config) -> None:
        """Beside what others have written meanwhile. A reader finds the old file or the new one, never a part."""
        path = self.path(device)
        partial = path.with_suffix(f".{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps({**self.load(device), case: config}, indent=1))
            partial.replace(path)
        except OSError:  # a read-only folder: the next start measures again
            return


def _config(found: object) -> Config:
    if not isinstance(found, dict) or not all(isinstance(value, int) for value in found.values()):
        raise TypeError(f"{found!r} is no configuration, expected names with integers")
    return found
