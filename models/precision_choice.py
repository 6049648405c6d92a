"""Which number format a model is computed in where nobody has decided."""

import torch

from models.description import ModelCard
from models.precision import AUTO, Precision
from models.rounding import bears_bfloat16


def choose_precision(asked: str, card: ModelCard, device: torch.device) -> Precision:
    """What was asked for; `auto`: bfloat16 where the device computes in it and the card allows it, else float32.

    Raises ValueError for a name that is none.
    """
    if asked != AUTO:
        return Precision(asked)
    allowed = bears_bfloat16(card.bfloat16_error) and computes_bfloat16(device)
    return Precision.BFLOAT16 if allowed else Precision.FLOAT32


def computes_bfloat16(device: torch.device) -> bool:
    """Whether it has instructions for bfloat16. Without them it is imitated, an order of magnitude slower on a CPU."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
