"""What holds for every benchmark on a GPU."""

import torch

from models.float32 import exact_float32


def set_up(device: str) -> None:
    """float32 keeps its digits, or no candidate would agree with the ground truth; and cuDNN measures its algorithms,
    as a server has it do at its warm-up: what was beaten is then its best."""
    if device == "cuda":
        exact_float32()
        torch.backends.cudnn.benchmark = True
