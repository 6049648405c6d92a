"""Triton kernels without a device: where there is none, they run in Triton's interpreter on CPU tensors.

The variable must be set before a kernel is defined, which is when kernels/triton_*.py is first imported; nothing that
is imported before this file does that. Kernels are only ever reached by name on a CPU, so other tests notice nothing.
"""

import os

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
