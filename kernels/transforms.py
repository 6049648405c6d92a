"""Whether torch differentiates forward, or transforms the function around a call.

Kernels read the memory of a tensor: its tangent would be lost without a word, and inside vmap there is no such memory.
"""

import torch
from torch.autograd import forward_ad


def transformed() -> bool:
    """Within torch.func (grad, jvp, vmap and what is built of them) or a dual level of forward differentiation."""
    return forward_ad._current_level >= 0 or torch._C._functorch.peek_interpreter_stack() is not None


def refuse_forward_derivatives() -> None:
    """RuntimeError within a dual level: what arrives there has lost its tangents, so all of it has to be refused."""
    if forward_ad._current_level >= 0:
        raise RuntimeError(
            "the operator was called within forward differentiation, expected reverse or none, since it has no forward "
            "derivative: call kernels.depthwise_conv2d uncompiled, which takes the library's convolution there"
        )
