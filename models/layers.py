"""The small layers of UniRepLKNet. Feature maps are (N, C, H, W) unless a name ends in _nhwc."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels import channel_layer_norm, fuses


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of every pixel of an (N, C, H, W) map; gelu: followed by GELU."""

    def __init__(self, channels: int, eps: float = 1e-6, gelu: bool = False) -> None:
        super().__init__(channels, eps=eps)
        self.gelu = gelu

    def forward(self, x: Tensor) -> Tensor:
        if fuses(x, self.weight):
            return channel_layer_norm(x, self.weight, self.bias, self.eps, self.gelu)
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return (F.gelu(x) if self.gelu else x).permute(0, 3, 1, 2)


class GlobalResponseNorm(nn.Module):
    """Global Response Normalization (ConvNeXt V2, eq. 1-3) on an (N, H, W, C) map, its skip folded in.

    beta is absent in the deploy form, where the next linear layer has taken it over.
    """

    def __init__(self, channels: int, beta: bool = True, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels)) if beta else None

    def forward(self, x_nhwc: Tensor) -> Tensor:
        scale = self.scale(x_nhwc)
        return x_nhwc * scale if self.beta is None else torch.addcmul(self.beta, x_nhwc, scale)

    def scale(self, x_nhwc: Tensor) -> Tensor:
        """(N, 1, 1, C), what every channel is multiplied by."""
        response = channel_norms(x_nhwc)
        response = response / (response.mean(dim=-1, keepdim=True) + self.eps)
        return 1 + self.gamma * response


def channel_norms(x_nhwc: Tensor) -> Tensor:
    """(N, H, W, C) -> (N, 1, 1, C), Euclidean norms."""
    if x_nhwc.is_cpu and x_nhwc.dtype is torch.float32 and not torch.is_grad_enabled():
        # torch's own norm goes down the columns number by number, two to five times slower. Its gradient is at ease at
        # zero, though, where that of the root is infinite; and squares of half precision would be rounded
        return x_nhwc.square().sum(dim=(1, 2), keepdim=True).sqrt_()
    return torch.linalg.vector_norm(x_nhwc, dim=(1, 2), keepdim=True)


class SqueezeExcite(nn.Module):
    """Channel gate from the map's mean (Hu et al. 2018), reduced by four."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.Linear(channels, channels // 4)
        self.up = nn.Linear(channels // 4, channels)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = x.mean(dim=(2, 3))
        gate = self.up(F.relu(self.down(squeezed))).sigmoid()
        return x * gate[:, :, None, None]


class DropPath(nn.Module):
    """Drop the residual branch of a random part of the batch while training (Huang et al. 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        mask = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * mask.div_(keep)
