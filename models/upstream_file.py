"""A file of the authors: their pickles and safetensors, unwrapped to one flat dict of tensors."""

import argparse
import pickle
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from models.description import CheckpointError, shortened

WRAPPERS = ("model", "state_dict", "module", "model_ema")  # the first that is there holds the published weights
PARALLEL, TRUNK, AVERAGE = "module.", "backbone.", "ema_"


@dataclass(frozen=True)
class UpstreamWeights:
    """tensors: under the authors' names. ignored: part that is not of the trunk or classifier -> tensors left out."""

    tensors: dict[str, Tensor]
    ignored: dict[str, int]


def read_weights(path: Path) -> UpstreamWeights:
    """Read a `.safetensors` or a pickled file (any other suffix); nothing in it is executed.

    Takes raw state dicts, wrapped ones (`model`, `state_dict`, `module`, `model_ema`), those of DataParallel and of
    mm-frameworks, of which the trunk is taken and the rest counted in `ignored`, as are averaged copies (`ema_*`).
    Raises CheckpointError for a file that is none of these or asks for code to be run.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file: give the path of a checkpoint or the name of a published one")
    loaded = _load_safetensors(path) if path.suffix == ".safetensors" else _load_pickle(path)
    return trunk_and_classifier(_unwrap(loaded, path))


def trunk_and_classifier(tensors: Mapping[str, Tensor]) -> UpstreamWeights:
    """Drop what wrappers added to the names, and the tensors that belong to other parts."""
    if tensors and all(key.startswith(PARALLEL) for key in tensors):
        tensors = {key.removeprefix(PARALLEL): value for key, value in tensors.items()}
    prefix = TRUNK if any(key.startswith(TRUNK) for key in tensors) else ""
    kept = {key: value for key, value in tensors.items() if key.startswith(prefix) and not key.startswith(AVERAGE)}
    ignored = Counter(_part(key) for key in tensors if key not in kept)
    return UpstreamWeights({key.removeprefix(prefix): value for key, value in kept.items()}, dict(ignored))


def _part(key: str) -> str:
    return f"{AVERAGE}*" if key.startswith(AVERAGE) else key.partition(".")[0]


def _load_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a safetensors file: {error}") from error


def _load_pickle(path: Path) -> Any:
    """Their training script stores its arguments, a Namespace, beside the weights: a plain record, safe to read."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        if asked:
            raise CheckpointError(
                f"{path} asks to load {asked[1]}, and loading objects other than tensors can run code: "
                "refused. Save its state_dict alone, from the program that made it, and convert that"
            ) from error
        raise CheckpointError(f"{path} is not a file that torch.save wrote: {error}") from error


def _unwrap(loaded: Any, path: Path) -> dict[str, Tensor]:
    while isinstance(loaded, Mapping):
        inner = next((loaded[name] for name in WRAPPERS if isinstance(loaded.get(name), Mapping)), None)
        if inner is None:
            return _only_tensors(loaded, path)
        loaded = inner
    raise CheckpointError(f"{path} holds a {type(loaded).__name__}, expected a dict of tensors by name (a state_dict)")


def _only_tensors(loaded: Mapping[Any, Any], path: Path) -> dict[str, Tensor]:
    others = [str(key) for key, value in loaded.items() if not isinstance(value, Tensor)]
    if others or not loaded:
        told = shortened(others) or "nothing at all"
        raise CheckpointError(
            f"{path} holds {told} beside or instead of tensors, expected a state_dict, "
            f"or one under {', '.join(WRAPPERS)}: save the state_dict alone"
        )
    return dict(loaded)
