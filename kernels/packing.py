"""Weights in the layout that a kernel reads, computed once while the weight stays as it is."""

from collections.abc import Callable, MutableMapping

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

Pack = Callable[[Tensor], Tensor]

# weight -> {layout: (state, packed)}
_packed: MutableMapping[Tensor, dict[object, tuple[object, Tensor]]] = WeakTensorKeyDictionary()


def packed(weight: Tensor, layout: tuple[object, ...], pack: Pack) -> Tensor:
    """`pack(weight)`, where gradients are off remembered under the name `layout` until the weight changes or goes.

    A served model packs at its warm-up, and a captured CUDA graph never packs again. Writes through `weight.data` go
    unseen, as they do by autograd; assigning to it is seen.
    """
    if torch.is_grad_enabled() or weight.is_inference():  # an inference tensor has no version
        return pack(weight.detach())
    state = (weight._version, weight.data_ptr(), weight.dtype)
    layouts = _packed.setdefault(weight, {})
    if layout not in layouts or layouts[layout][0] != state:
        layouts[layout] = (state, pack(weight))
    return layouts[layout][1]
