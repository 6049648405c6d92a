"""Changes of a classifier's form, each measured: the network before and after answers the same random image."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from models.checkpoint import Checkpoint
from models.description import CheckpointError, Structure
from models.heads.classification import ClassificationHead
from models.reparam import reparameterize
from models.rounding import bfloat16_error

SIDE = 224  # the smallest input whose last map, 7 x 7, meets every tap of a 13 x 13 kernel
FUSING_LIMIT = 1e-5  # of the largest logit; float32 rounding alone is below 1e-6
HALF_LIMIT = 5e-2  # rounding to float16 alone is about 1e-3


def fused(origin: Checkpoint) -> tuple[Checkpoint, float]:
    """The classifier in deploy form, and its relative error; raises CheckpointError where the answers differ."""
    model = origin.build(ClassificationHead)
    deployed = reparameterize(model)
    error = _checked(relative_error(model, deployed), FUSING_LIMIT, f"fusing {origin.card.name}")
    return replace(origin, structure=Structure.DEPLOY, state_dict=deployed.state_dict()), error


def halved(origin: Checkpoint) -> tuple[Checkpoint, float]:
    """The classifier in half precision, and its relative error; raises CheckpointError where values overflow."""
    result = origin.in_half()
    error = relative_error(origin.build(ClassificationHead), result.build(ClassificationHead))
    return result, _checked(error, HALF_LIMIT, f"storing {origin.card.name} in half precision")


@torch.inference_mode()
def relative_error(reference: nn.Module, model: nn.Module) -> float:
    """Largest difference of the logits over the largest logit, for one random image; NaN where either has one."""
    x = noise()
    expected, found = (net(x)["logits"] for net in (reference, model))
    return float((found - expected).abs().max() / expected.abs().max())


def bfloat16_measured(origin: Checkpoint) -> Checkpoint:
    """The same, with what bfloat16 does to its logits in its card: on noise, for want of its photographs."""
    model = origin.build(ClassificationHead)
    deployed = reparameterize(model) if origin.structure is Structure.TRAINING else model
    return replace(origin, card=replace(origin.card, bfloat16_error=bfloat16_error(deployed, [noise()])))


def noise() -> Tensor:
    """The random image by which networks are compared."""
    return torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def _checked(error: float, limit: float, step: str) -> float:
    if not error <= limit:  # NaN is not
        raise CheckpointError(
            f"{step} changes the logits by {error:.1e} of the largest, expected at most {limit:.0e}: the weights hold "
            "values that this form cannot carry, such as infinite ones; check the source, or keep it in its own form"
        )
    return error
