"""Runtimes by name, the fastest first, and the choice among them."""

import logging
from collections.abc import Iterator

import torch

from models.perception import PerceptionModel
from models.runtimes.base import Compiled, Runtime, Target, Untranslatable
from models.runtimes.openvino import OpenVinoRuntime
from models.runtimes.torch import TorchRuntime

AUTO = "auto"
RUNTIMES: dict[str, Runtime] = {
    "openvino": OpenVinoRuntime(),
    "torch": TorchRuntime(),  # runs everything, and so comes last
}

log = logging.getLogger(__name__)


def compiled(model: PerceptionModel, target: Target, runtime: str = AUTO) -> Compiled:
    """By the runtime of this name; `auto`: by the first that runs on the device. By torch where that one cannot.

    Raises ValueError for a name that is unknown, or whose runtime is not installed or not for this device.
    """
    for candidate in _candidates(runtime, target.device):
        try:
            return candidate.compile(model, target)
        except Untranslatable as error:
            log.warning("a model is computed by torch, not by %s: %s", candidate.name, error)
    raise AssertionError("torch compiles every model")


def _candidates(name: str, device: torch.device) -> Iterator[Runtime]:
    if name == AUTO:
        yield from (runtime for runtime in RUNTIMES.values() if runtime.obstacle(device) is None)
        return
    if name not in RUNTIMES:
        raise ValueError(f"runtime {name!r} is unknown, expected one of {AUTO}, {', '.join(RUNTIMES)}")
    obstacle = RUNTIMES[name].obstacle(device)
    if obstacle is not None:
        raise ValueError(f"runtime {name!r} was asked for, but {obstacle}")
    yield RUNTIMES[name]
    yield RUNTIMES["torch"]
