"""torch itself, eager: runs everything, everywhere."""

import torch

from models.float32 import exact_float32
from models.perception import PerceptionModel
from models.runtimes.base import Compiled, Target


class TorchRuntime:
    """Channels-last by default on CUDA, and on processors with AVX2 only.

    There oneDNN has a depthwise kernel of 13 x 13 for that format alone, and with it the linear layers of a block read
    maps without a copy. With AVX-512 its kernel for contiguous maps is two to three times faster at 13 x 13.
    """

    name = "torch"

    def obstacle(self, device: torch.device) -> str | None:
        return None

    def compile(self, model: PerceptionModel, target: Target) -> Compiled:
        if target.device.type == "cuda":
            exact_float32()
        last = _prefers_channels_last(target.device) if target.channels_last is None else target.channels_last
        memory_format = torch.channels_last if last else torch.contiguous_format
        dtype = target.precision.dtype
        model = model.eval().to(device=target.device, dtype=dtype).to(memory_format=memory_format)  # type: ignore[call-overload]
        return Compiled(self.name, model, target.precision, dtype, memory_format)


def _prefers_channels_last(device: torch.device) -> bool:
    return device.type == "cuda" or torch.backends.cpu.get_cpu_capability() == "AVX2"
