"""Networks with weights that make every path matter, which fresh ones, with layer scale 1e-6 and zeros, do not."""

from typing import TypeVar

import torch
from torch import nn

ModuleT = TypeVar("ModuleT", bound=nn.Module)


@torch.no_grad()
def randomize(module: ModuleT, seed: int = 0) -> ModuleT:
    """Fill all parameters and batch statistics in place, at scales that keep activations near 1; in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        if not value.is_floating_point():
            continue
        value.copy_(_values(name, value.shape, generator))
    return module.eval()


def _values(name: str, shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    leaf = name.rpartition(".")[2]
    if leaf == "gamma" and "grn" not in name:  # layer scale: at 1, the sum of 27 blocks would grow without bounds
        return 0.1 + 0.1 * torch.rand(shape, generator=generator, dtype=torch.float64)
    if leaf == "running_var" or (leaf == "weight" and len(shape) == 1):
        return 0.5 + torch.rand(shape, generator=generator, dtype=torch.float64)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    return 0.3 * noise if len(shape) == 1 else noise / shape[1:].numel() ** 0.5
