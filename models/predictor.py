"""A model on its device: batches in, rows out."""

from collections.abc import Callable
from enum import StrEnum

import torch
from torch import Tensor

from models.heads.base import Row
from models.perception import PerceptionModel

Transform = Callable[[Tensor], Tensor]


class Precision(StrEnum):
    """What the network computes in. Rows are float32 whatever it is."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"

    @property
    def dtype(self) -> torch.dtype:
        dtype = getattr(torch, self.value)
        assert isinstance(dtype, torch.dtype)
        return dtype


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

    channels_last: memory format of feature maps; None chooses by device, true on CUDA. NaN or infinite outputs raise
    FloatingPointError: a wrong answer must not look like one.
    """

    def __init__(
        self,
        model: PerceptionModel,
        transform: Transform,
        device: torch.device,
        precision: Precision = Precision.FLOAT32,
        channels_last: bool | None = None,
    ) -> None:
        last = device.type == "cuda" if channels_last is None else channels_last
        self.memory_format = torch.channels_last if last else torch.contiguous_format
        self.model = model.eval().to(device=device, dtype=precision.dtype).to(memory_format=self.memory_format)  # type: ignore[call-overload]
        self.transform = transform
        self.device = device
        self.precision = precision

    @torch.inference_mode()
    def __call__(self, batch: Tensor) -> list[Row]:
        """batch: collated samples on the CPU, (N, ...) -> N rows of float32 tensors on the CPU."""
        x = self.transform(batch.to(self.device, non_blocking=True))
        return self.rows({name: value.cpu() for name, value in self.forward(x).items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """What `transform` gives -> the model's outputs in float32, on the device."""
        if x.ndim == 4:  # a map; what else there is, such as coordinates, must not be rounded before it is embedded
            x = x.to(dtype=self.precision.dtype).contiguous(memory_format=self.memory_format)
        return {name: value.float() for name, value in self.model(x).items()}

    def rows(self, outputs: dict[str, Tensor]) -> list[Row]:
        """Outputs on the CPU, each with the batch as its first axis -> a row for every sample."""
        for name, value in outputs.items():
            if not value.isfinite().all():
                raise FloatingPointError(f"{name} came out as NaN or infinite in {self.precision}: serve it in float32")
        return [dict(zip(outputs, values, strict=True)) for values in zip(*outputs.values(), strict=True)]
