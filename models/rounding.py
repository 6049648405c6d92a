"""What computing in bfloat16 does to a model's answers, and how much of it is still the same answer."""

import copy
import math
from collections.abc import Iterable

import torch
from torch import Tensor

from models.perception import PerceptionModel
from models.precision import Precision
from models.runtimes.base import Compiled, Target
from models.runtimes.torch import TorchRuntime

BFLOAT16_LIMIT = 3e-2  # bfloat16 has 8 bits, whose errors add up to about 1e-2 in the networks of the paper


@torch.inference_mode()
def bfloat16_error(model: PerceptionModel, inputs: Iterable[Tensor]) -> float | None:
    """Largest difference of an output in bfloat16 from the same in float32, over the largest of that output.

    model: in deploy form, in float32. inputs: batches as it is served them, on its device. None where there are none,
    or where an output is NaN or infinite. torch computes, which rounds more than OpenVINO: a model that bears it may be
    served in bfloat16 by either.
    """
    device = next(model.parameters()).device
    rounded = TorchRuntime().compile(copy.deepcopy(model), Target(device, Precision.BFLOAT16))
    errors: dict[str, float] = {}
    largest: dict[str, float] = {}
    for x in inputs:
        for name, (error, size) in _compared(model, rounded, x).items():
            errors[name] = max(errors.get(name, 0.0), error)
            largest[name] = max(largest.get(name, 0.0), size)
    worst = max((errors[name] / size if size else math.nan for name, size in largest.items()), default=math.nan)
    return worst if math.isfinite(worst) else None


def _compared(model: PerceptionModel, rounded: Compiled, x: Tensor) -> dict[str, tuple[float, float]]:
    """Largest difference and largest value of each output; infinite where either is no number."""
    expected, found = model(x), rounded(x)
    sizes = {name: value.abs().max().nan_to_num(math.inf).item() for name, value in expected.items()}
    differences = {name: (found[name].float() - value).abs().max() for name, value in expected.items()}
    return {name: (value.nan_to_num(math.inf).item(), sizes[name]) for name, value in differences.items()}


def bears_bfloat16(error: float | None) -> bool:
    return error is not None and error <= BFLOAT16_LIMIT
