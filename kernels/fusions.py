"""Which steps of inference run fused.

Only on CUDA, without gradients, on channels-last maps; and there each step by itself, where measuring on that device
has found its kernel faster than the library's path for that very shape (`kernels.tuning`, at warm-up). What was not
measured runs by the library: no device has run these kernels yet, and a guess could only be trusted to be right.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from kernels.dispatch import FLOATS, triton_runs
from kernels.steps import LIBRARY, STEPS

_forced: ContextVar[Collection[str] | None] = ContextVar("forced fusions", default=None)


def fuses(x: Tensor, weight: Tensor) -> bool:
    """Whether the steps of this map are to be taken one by one, as `run` does. Compilers fuse by themselves."""
    if torch.compiler.is_compiling():
        return False
    if _forced.get() is not None:
        return True
    return x.is_cuda and _infers(x, weight) and triton_runs()


def _infers(x: Tensor, weight: Tensor) -> bool:
    return (
        not torch.is_grad_enabled()
        and not torch.is_autocast_enabled(x.device.type)
        and x.dtype is weight.dtype
        and x.dtype in FLOATS
        and x.is_contiguous(memory_format=torch.channels_last)
        and x.numel() > 0
    )


def run(name: str, x: Tensor, weight: Tensor, *rest: object) -> Any:
    """The step `name` of STEPS, by the faster of its two implementations."""
    step = STEPS[name]
    forced = _forced.get()
    if forced is not None:
        config = step.candidates(x, weight, *rest)[0] if name in forced else LIBRARY
        return step.run(config, x, weight, *rest)
    from kernels.tuning import launch_config

    case = (name, x.dtype, *x.shape, *weight.shape)
    candidates = [LIBRARY, *step.candidates(x, weight, *rest)]
    config = launch_config(case, x.device, candidates, lambda config: step.run(config, x, weight, *rest))
    return step.run(config, x, weight, *rest)


@contextmanager
def forced_fusions(names: Collection[str]) -> Iterator[None]:
    """Fuse these steps and no others, whatever the tensors, for tests and benchmarks; ValueError for unknown names."""
    unknown = sorted(set(names) - set(STEPS))
    if unknown:
        raise ValueError(f"steps {', '.join(unknown)} are unknown, expected some of {', '.join(STEPS)}")
    token = _forced.set(frozenset(names))
    try:
        yield
    finally:
        _forced.reset(token)
