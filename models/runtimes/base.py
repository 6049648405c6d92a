"""The contract of every runtime: a model in deploy form in, something that computes the same out."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from models.perception import PerceptionModel
from models.precision import Precision


class Untranslatable(Exception):
    """This runtime cannot compute this model, or not correctly. Another one can."""


@dataclass(frozen=True)
class Target:
    """What to compile for. channels_last: memory format of feature maps; None leaves it to the runtime."""

    device: torch.device
    precision: Precision = Precision.FLOAT32
    channels_last: bool | None = None


@dataclass(frozen=True)
class Compiled:
    """model: the network's input -> its named outputs, as before. precision: what its backbone computes in, which is
    not what was asked for where the processor lacks it. dtype, memory_format: of a map that it is given.
    """

    runtime: str
    model: nn.Module
    precision: Precision
    dtype: torch.dtype
    memory_format: torch.memory_format = torch.contiguous_format

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        if x.ndim == 4:  # a map; what else there is, such as coordinates, must not be rounded before it is embedded
            x = x.to(dtype=self.dtype).contiguous(memory_format=self.memory_format)
        outputs: dict[str, Tensor] = self.model(x)
        return outputs


class Runtime(Protocol):
    """name: its key in the registry."""

    name: str

    def obstacle(self, device: torch.device) -> str | None:
        """Why it cannot run there at all, with the remedy; None where it can."""
        ...

    def compile(self, model: PerceptionModel, target: Target) -> Compiled:
        """model: in deploy form, in float32; it may be changed. Raises Untranslatable, and then it is as it was."""
        ...
