"""torch.compile for comparisons: wholly compiled, or an error, never quietly eager."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch._dynamo import config

Backend = str | Callable[..., Any]


def compiled(module: nn.Module, mode: str | None = None, backend: Backend = "inductor") -> Callable[..., Any]:
    """For the shapes of its first call. What was compiled before in this process is forgotten: torch runs code eagerly
    that it has compiled for eight modules, and blocks of all problems share theirs."""
    torch.compiler.reset()
    config.fail_on_recompile_limit_hit = True
    whole: Callable[..., Any] = torch.compile(module, mode=mode, backend=backend, dynamic=False, fullgraph=True)
    return whole
