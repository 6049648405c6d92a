"""The UniRepLKNet block (paper section 3.1, Figure 2): depthwise convolution, channel gate, feed-forward network."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels import BlockWeights, DepthwiseConv2d, fused_block, fuses
from models.layers import DropPath, GlobalResponseNorm, SqueezeExcite
from models.reparam import DilatedReparamConv, depthwise_from, fuse_conv_norm

EXPANSION = 4
SMALLEST_REPARAM_KERNEL = 7


def depthwise_layer(channels: int, kernel_size: int) -> DilatedReparamConv | DepthwiseConv2d:
    """Training form of the block's first layer: branches from 7x7 on, a plain kernel below."""
    if kernel_size >= SMALLEST_REPARAM_KERNEL:
        return DilatedReparamConv(channels, kernel_size)
    return DepthwiseConv2d(channels, kernel_size, bias=False)


class FusedBlock(nn.Module):
    """Deploy form: every norm, the layer scale and the response norm's beta live in the kernel and the linears."""

    def __init__(
        self,
        dwconv: DepthwiseConv2d,
        se: SqueezeExcite,
        pwconv1: nn.Linear,
        grn: GlobalResponseNorm,
        pwconv2: nn.Linear,
    ) -> None:
        super().__init__()
        self.dwconv = dwconv
        self.se = se
        self.pwconv1 = pwconv1
        self.grn = grn
        self.pwconv2 = pwconv2

    def forward(self, x: Tensor) -> Tensor:
        if fuses(x, self.pwconv1.weight):
            return fused_block(x, self.weights())
        y = self.se(self.dwconv(x)).permute(0, 2, 3, 1)  # (N, C, H, W) -> (N, H, W, C)
        y = self.pwconv2(self._expanded(y))
        return x + y.permute(0, 3, 1, 2)

    def _expanded(self, y: Tensor) -> Tensor:
        """Inference writes over what nobody else holds: the widest map is written three times, not allocated so."""
        hidden = self.pwconv1(y)
        if torch.is_grad_enabled():
            return self.grn(F.gelu(hidden))
        torch.ops.aten.gelu_(hidden)
        return hidden.mul_(self.grn.scale(hidden))

    def weights(self) -> BlockWeights:
        assert self.dwconv.bias is not None, "the deploy form has one"
        return BlockWeights(
            taps=self.dwconv.weight,
            taps_bias=self.dwconv.bias,
            down=self.se.down.weight,
            down_bias=self.se.down.bias,
            up=self.se.up.weight,
            up_bias=self.se.up.bias,
            expand=self.pwconv1.weight,
            expand_bias=self.pwconv1.bias,
            gamma=self.grn.gamma,
            eps=self.grn.eps,
            project=self.pwconv2.weight,
            project_bias=self.pwconv2.bias,
        )


class UniRepLKNetBlock(nn.Module):
    """Training form of the block. x: (N, C, H, W) in and out."""

    def __init__(self, channels: int, kernel_size: int, drop_path: float = 0.0, layer_scale_init: float = 1e-6) -> None:
        super().__init__()
        hidden = EXPANSION * channels
        self.dwconv = depthwise_layer(channels, kernel_size)
        self.norm = nn.BatchNorm2d(channels)
        self.se = SqueezeExcite(channels)
        self.pwconv1 = nn.Linear(channels, hidden)
        self.grn = GlobalResponseNorm(hidden)
        self.pwconv2 = nn.Linear(hidden, channels, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.gamma = nn.Parameter(torch.full((channels,), layer_scale_init))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        y = self.se(self.norm(self.dwconv(x))).permute(0, 2, 3, 1)  # (N, C, H, W) -> (N, H, W, C)
        y = self.pwconv2(self.grn(F.gelu(self.pwconv1(y)))).permute(0, 3, 1, 2)
        y = self.norm2(y) * self.gamma[:, None, None]
        return x + self.drop_path(y)

    @torch.no_grad()
    def fuse(self) -> FusedBlock:
        if self.gamma.is_meta:
            return self._fused_shapes()
        return FusedBlock(self._fused_dwconv(), self.se, self.pwconv1, self._fused_grn(), self._fused_pwconv2())

    def _fused_shapes(self) -> FusedBlock:
        """The deploy form without numbers. Sums of meta tensors would load torch's compiler: seconds at every start."""
        dwconv = self.dwconv
        size = dwconv.kernel_size if isinstance(dwconv, DilatedReparamConv) else dwconv.weight.shape[-1]
        channels, hidden = self.pwconv2.weight.shape
        with torch.device("meta"):
            fused = DepthwiseConv2d(channels, size, dtype=self.gamma.dtype)
            pwconv2 = nn.Linear(hidden, channels, dtype=self.gamma.dtype)
        return FusedBlock(fused, self.se, self.pwconv1, self._fused_grn(), pwconv2)

    def _fused_dwconv(self) -> DepthwiseConv2d:
        dwconv = self.dwconv
        weight, bias = dwconv.merged() if isinstance(dwconv, DilatedReparamConv) else (dwconv.weight, None)
        return depthwise_from(*fuse_conv_norm(weight, bias, self.norm), like=self.norm.weight)

    def _fused_grn(self) -> GlobalResponseNorm:
        grn = GlobalResponseNorm(self.grn.gamma.numel(), beta=False, eps=self.grn.eps)
        grn.gamma = self.grn.gamma
        return grn

    def _fused_pwconv2(self) -> nn.Linear:
        """beta is added after all that is not linear, so it passes through the linear layer into its bias."""
        assert self.grn.beta is not None
        weight = self.pwconv2.weight.double()
        fused, bias = fuse_conv_norm(weight, weight @ self.grn.beta.double(), self.norm2)
        gamma = self.gamma.double()
        linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")  # no random weights to be replaced at once
        linear.weight = nn.Parameter((fused * gamma[:, None]).to(self.pwconv2.weight))
        linear.bias = nn.Parameter((bias * gamma).to(self.pwconv2.weight))
        return linear
