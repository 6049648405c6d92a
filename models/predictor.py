"""A model on its device: batches in, rows out."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from models.perception import PerceptionModel
from models.postprocessors.base import Row, rows_of, samples
from models.precision import Precision
from models.runtimes.base import Target
from models.runtimes.registry import compiled

Transform = Callable[[Tensor], Tensor]


def resolve_device(name: str) -> torch.device:
    """`auto` is the first CUDA device, or else the CPU; raises ValueError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name!r} was asked for, but torch finds no CUDA device: choose cpu or auto")
    return device


class Predictor:
    """model: in deploy form, in float32. transform: a collated batch -> the model's input, both on the device.

    channels_last: memory format of feature maps; None leaves it to the runtime. runtime: see models.runtimes.registry,
    which raises ValueError for one that cannot be. NaN or infinite outputs raise FloatingPointError: a wrong answer
    must not look like one.
    """

    def __init__(
        self,
        model: PerceptionModel,
        transform: Transform,
        device: torch.device,
        precision: Precision = Precision.FLOAT32,
        channels_last: bool | None = None,
        runtime: str = "torch",
    ) -> None:
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        self.compiled = compiled(model, Target(device, precision, channels_last), runtime)
        self.model = self.compiled.model
        self.transform = transform
        self.device = device

    @property
    def runtime(self) -> str:
        return self.compiled.runtime

    @property
    def precision(self) -> Precision:
        return self.compiled.precision

    @torch.inference_mode()
    def __call__(self, batch: Tensor) -> list[Row]:
        """batch: collated samples on the CPU, (N, ...) -> N rows."""
        x = self.transform(batch.to(self.device, non_blocking=True))
        return self.rows({name: value.cpu() for name, value in self.forward(x).items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """What `transform` gives -> the model's outputs in float32, on the device."""
        return {name: value.float() for name, value in self.compiled(x).items()}

    def rows(self, outputs: dict[str, Tensor]) -> list[Row]:
        """Outputs on the CPU, each with the batch as its first axis -> a row for every sample."""
        columns = {name: value.numpy() for name, value in outputs.items()}
        for name, column in columns.items():
            if not np.isfinite(column).all():
                raise FloatingPointError(f"{name} came out as NaN or infinite in {self.precision}: serve it in float32")
        return rows_of({name: samples(column) for name, column in columns.items()})
