"""Structural re-parameterization: parallel convolutions and norms become one kernel (paper section 3.1, eq. 1)."""

import copy
from collections.abc import Sequence
from typing import Protocol, TypeVar, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels import DepthwiseConv2d

Branches = Sequence[tuple[int, int]]  # (kernel size, dilation)
ModuleT = TypeVar("ModuleT", bound=nn.Module)

# Dilated branches beside the K x K kernel, per K (paper Table 1 and the authors' code, which begins at K = 7
# where the paper's text says 9).
BRANCHES: dict[int, Branches] = {
    5: ((3, 1), (3, 2)),
    7: ((5, 1), (3, 2), (3, 3)),
    9: ((5, 1), (5, 2), (3, 3), (3, 4)),
    11: ((5, 1), (5, 2), (3, 3), (3, 4), (3, 5)),
    13: ((5, 1), (7, 2), (3, 3), (3, 4), (3, 5)),
    15: ((5, 1), (7, 2), (3, 3), (3, 5), (3, 7)),
    17: ((5, 1), (9, 2), (3, 4), (3, 5), (3, 7)),
}
KERNEL_RANGE = range(5, 32, 2)


@runtime_checkable
class Fusable(Protocol):
    """A module whose inference form is another, plainer module."""

    def fuse(self) -> nn.Module: ...


def norm_scale_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A batch norm at inference as y = scale * x + shift, each (C,) in float64."""
    assert norm.running_mean is not None, "batch norm must track its statistics"
    assert norm.running_var is not None, "batch norm must track its statistics"
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    return scale, norm.bias.double() - norm.running_mean.double() * scale


def fuse_conv_norm(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Kernel and bias, in float64, of the convolution that equals `norm(conv(x))`. weight: (C, ...), bias: (C,)."""
    scale, shift = norm_scale_shift(norm)
    fused = weight.double() * scale.reshape(-1, *(1,) * (weight.ndim - 1))
    return fused, shift if bias is None else bias.double() * scale + shift


def dilated_to_dense(weight: Tensor, dilation: int, size: int) -> Tensor:
    """The size x size kernel that equals a k x k kernel with this dilation: taps spread apart, then centred."""
    k = weight.shape[-1]
    extent = (k - 1) * dilation + 1
    dense = weight.new_zeros(*weight.shape[:-2], extent, extent)
    dense[..., ::dilation, ::dilation] = weight
    return F.pad(dense, [(size - extent) // 2] * 4)


class ConvNorm(nn.Module):
    """Depthwise convolution without bias, then batch norm."""

    def __init__(self, channels: int, kernel_size: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = DepthwiseConv2d(channels, kernel_size, dilation, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(x))
        return out

    def dense_kernel(self, size: int) -> tuple[Tensor, Tensor]:
        """Kernel (C, 1, size, size) and bias (C,), in float64, of the equal undilated convolution."""
        weight, bias = fuse_conv_norm(self.conv.weight, None, self.norm)
        return dilated_to_dense(weight, self.conv.dilation[0], size), bias


class DilatedReparamConv(nn.Module):
    """Dilated Reparam Block: a K x K depthwise convolution beside smaller dilated ones, summed after their norms.

    branches: (kernel size, dilation) of each; by default the published ones of K. Raises ValueError where K is not
    odd from 5 to 31, has no published branches and none are given, or a branch reaches beyond K.
    """

    def __init__(self, channels: int, kernel_size: int, branches: Branches | None = None) -> None:
        super().__init__()
        chosen = checked_branches(kernel_size, branches)
        self.kernel_size = kernel_size
        self.origin = ConvNorm(channels, kernel_size)
        self.branches = nn.ModuleList(ConvNorm(channels, k, r) for k, r in chosen)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.origin(x)
        for branch in self.branches:
            out = out + branch(x)
        return out

    @torch.no_grad()
    def merged(self) -> tuple[Tensor, Tensor]:
        """The one kernel (C, 1, K, K) and bias (C,) that the branches add up to, in float64."""
        weight, bias = self.origin.dense_kernel(self.kernel_size)
        for branch in self.branches:
            assert isinstance(branch, ConvNorm)
            branch_weight, branch_bias = branch.dense_kernel(self.kernel_size)
            weight, bias = weight + branch_weight, bias + branch_bias
        return weight, bias

    def fuse(self) -> DepthwiseConv2d:
        return depthwise_from(*self.merged(), like=self.origin.conv.weight)


def checked_branches(kernel_size: int, branches: Branches | None) -> Branches:
    if kernel_size not in KERNEL_RANGE:
        raise ValueError(f"kernel size {kernel_size} is not odd from {KERNEL_RANGE[0]} to {KERNEL_RANGE[-1]}")
    if branches is None and kernel_size not in BRANCHES:
        raise ValueError(f"kernel size {kernel_size} has no published branches ({list(BRANCHES)} have): pass branches")
    chosen = BRANCHES[kernel_size] if branches is None else branches
    for k, dilation in chosen:
        if k % 2 == 0 or (k - 1) * dilation + 1 > kernel_size:
            raise ValueError(f"branch {k}x{k} with dilation {dilation} does not fit, centred, into {kernel_size}")
    return chosen


def depthwise_from(weight: Tensor, bias: Tensor, like: Tensor) -> DepthwiseConv2d:
    """A depthwise layer with these weights, in the dtype and on the device of `like`."""
    channels, _, size, _ = weight.shape
    with torch.device("meta"):  # no random weights that would be replaced at once
        layer = DepthwiseConv2d(channels, size)
    layer.weight = nn.Parameter(weight.to(like))
    layer.bias = nn.Parameter(bias.to(like))
    return layer


def reparameterize(model: ModuleT) -> ModuleT:
    """A copy of the model in deploy form, in eval mode; the argument is left alone.

    Kernels are merged in float64 and rounded once to the model's dtype. Of a model in deploy form it is a plain copy.
    """
    fused = _fuse_tree(copy.deepcopy(model))
    return fused.eval()  # type: ignore[return-value]


def _fuse_tree(module: nn.Module) -> nn.Module:
    if isinstance(module, Fusable):
        return module.fuse()
    for name, child in module.named_children():
        setattr(module, name, _fuse_tree(child))
    return module
