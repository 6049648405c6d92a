"""The deployed network as anybody would write it down, with PyTorch's own convolutions: what ours is compared with.

It holds the weights of ours, in the same order of layers, and none of its code; it can be traced and exported.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels import DepthwiseConv2d
from models.block import FusedBlock
from models.heads.classification import ClassificationHead
from models.layers import LayerNorm2d
from models.perception import PerceptionModel


class PlainClassifier(nn.Module):
    """model: in deploy form. x: (N, in_chans, H, W) -> logits (N, classes)."""

    def __init__(self, model: PerceptionModel) -> None:
        super().__init__()
        backbone, head = model.backbone, model.head
        assert isinstance(head, ClassificationHead)
        pairs = zip(backbone.downsamples, backbone.stages, strict=True)
        layers = (layer for pair in pairs for part in pair for layer in part.children())
        self.layers = nn.Sequential(*map(_plain, layers))
        self.norm, self.linear = head.norm, head.linear

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.norm(self.layers(x).mean([2, 3])))
        return logits


class PlainBlock(nn.Module):
    """As the authors' deployed block, its gate of linear layers."""

    def __init__(self, block: FusedBlock) -> None:
        super().__init__()
        self.dwconv = _conv(block.dwconv)
        self.down, self.up = block.se.down, block.se.up
        self.pwconv1, self.pwconv2 = block.pwconv1, block.pwconv2
        self.gamma, self.eps = block.grn.gamma, block.grn.eps

    def forward(self, x: Tensor) -> Tensor:
        y = self.dwconv(x)
        y = y * torch.sigmoid(self.up(F.relu(self.down(y.mean([2, 3]))))).unsqueeze(2).unsqueeze(3)
        y = F.gelu(self.pwconv1(y.permute(0, 2, 3, 1)))
        response = torch.norm(y, p=2, dim=(1, 2), keepdim=True)
        response = response / (response.mean(dim=-1, keepdim=True) + self.eps)
        return x + self.pwconv2((self.gamma * response + 1) * y).permute(0, 3, 1, 2)


class PlainNorm(nn.Module):
    def __init__(self, norm: LayerNorm2d) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(norm.normalized_shape, norm.eps)
        self.norm.weight, self.norm.bias = norm.weight, norm.bias
        self.activation = nn.GELU() if norm.gelu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.norm(x.permute(0, 2, 3, 1)))
        return y.permute(0, 3, 1, 2)


def _plain(layer: nn.Module) -> nn.Module:
    if isinstance(layer, FusedBlock):
        return PlainBlock(layer)
    return PlainNorm(layer) if isinstance(layer, LayerNorm2d) else layer


def _conv(layer: DepthwiseConv2d) -> nn.Conv2d:
    channels, _, size, _ = layer.weight.shape
    with torch.device("meta"):
        conv = nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels)
    conv.weight, conv.bias = layer.weight, layer.bias
    return conv
