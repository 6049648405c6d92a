"""What a checkpoint says of itself, read without its weights and without torch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

FORMAT = "unireplknet-checkpoint"
VERSION = 1
SHOWN_KEYS = 6

Options = dict[str, Any]


class CheckpointError(Exception):
    """A checkpoint file that cannot be read, or whose weights do not fit the network it describes."""


class Structure(StrEnum):
    """Training form, with its parallel branches and norms, or the re-parameterized deploy form."""

    TRAINING = "training"
    DEPLOY = "deploy"


@dataclass(frozen=True)
class ModelCard:
    """What a user must know before trusting the answers. metrics: name -> value on the named split.

    bfloat16_error: of the deployed network, see models.rounding; None where it was not measured.
    """

    name: str
    description: str = ""
    data: str = ""
    licence: str = ""
    split: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    training: Options = field(default_factory=dict)
    bfloat16_error: float | None = None


def read_description(path: Path) -> Options:
    """All of a checkpoint but its weights; raises CheckpointError for a file of another kind."""
    try:
        with safe_open(path, framework="numpy") as file:
            described: Options = json.loads((file.metadata() or {})["checkpoint"])
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist") from error
    except (SafetensorError, OSError, KeyError) as error:
        raise CheckpointError(
            f"{path} is not a checkpoint of this project: convert it with `unireplknet convert`"
        ) from error
    if (described.pop("format", None), described.pop("version", None)) != (FORMAT, VERSION):
        raise CheckpointError(f"{path} is of another format version, expected {FORMAT} {VERSION}: convert it again")
    return described


def shortened(keys: Sequence[str]) -> str:
    """The first names of a long list, for messages."""
    more = len(keys) - SHOWN_KEYS
    return ", ".join(keys[:SHOWN_KEYS]) + (f" and {more} more" if more > 0 else "")
