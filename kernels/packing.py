"""Weights in the layout that a kernel reads, computed once while the weight stays as it is."""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

Pack = Callable[[Tensor], Tensor]

# weight -> {layout: (state, packed)}
_packed: MutableMapping[Tensor, dict[object, tuple["State", Tensor]]] = WeakTensorKeyDictionary()


@dataclass(frozen=True, eq=False)
class State:
    """What a weight was when it was packed. Holding on to its memory keeps that address from being given to another."""

    memory: Tensor
    version: int

    @classmethod
    def of(cls, weight: Tensor) -> "State":
        return cls(weight.detach(), _version(weight))

    def still_holds(self, weight: Tensor) -> bool:
        memory = self.memory
        return (
            self.version == _version(weight)
            and memory.data_ptr() == weight.data_ptr()
            and memory.dtype is weight.dtype
            and memory.shape == weight.shape
            and memory.stride() == weight.stride()
        )


def packed(weight: Tensor, layout: tuple[object, ...], pack: Pack) -> Tensor:
    """`pack(weight)`, where gradients are off remembered under the name `layout` until the weight changes or goes.

    A served model packs at its warm-up, and a captured CUDA graph never packs again. Writes through `weight.data` go
    unseen, as they do by autograd, and so do those into a weight that was made in inference mode: `forget` it then.
    Assigning to `weight.data` is seen.
    """
    if torch.is_grad_enabled():
        return pack(weight.detach())
    layouts = _packed.setdefault(weight, {})
    if layout not in layouts or not layouts[layout][0].still_holds(weight):
        layouts[layout] = (State.of(weight), pack(weight))
    return layouts[layout][1]


def forget(weight: Tensor) -> None:
    """Pack this weight again when it is next used."""
    _packed.pop(weight, None)


def _version(weight: Tensor) -> int:
    return 0 if weight.is_inference() else weight._version
