"""The UniRepLKNet backbone (paper section 3, Figure 2): stem, four stages of blocks, downsampling between them."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.block import UniRepLKNetBlock
from models.config import BackboneConfig
from models.layers import LayerNorm2d

Features = tuple[Tensor, ...]  # one map per stage, strides 4, 8, 16, 32


def downsample_conv(in_chans: int, out_chans: int) -> nn.Conv2d:
    """Halve a map of any size: ceil(H / 2) x ceil(W / 2)."""
    return nn.Conv2d(in_chans, out_chans, kernel_size=3, stride=2, padding=1)


class Stem(nn.Sequential):
    """Quarter a map of any size, in two steps."""

    def __init__(self, in_chans: int, dim: int) -> None:
        half = dim // 2
        first = (downsample_conv(in_chans, half), LayerNorm2d(half), nn.GELU())
        super().__init__(*first, downsample_conv(half, dim), LayerNorm2d(dim))

    def fuse(self) -> nn.Sequential:
        """GELU joins the norm before it. Its place stays, so that parameters keep their names."""
        conv, norm, _, *rest = self
        assert isinstance(norm, LayerNorm2d)
        with_gelu = copy.copy(norm)
        with_gelu.gelu = True
        return nn.Sequential(conv, with_gelu, nn.Identity(), *rest)


def downsample(in_chans: int, dim: int) -> nn.Sequential:
    return nn.Sequential(downsample_conv(in_chans, dim), LayerNorm2d(dim))


class UniRepLKNet(nn.Module):
    """x: (N, in_chans, H, W), any H and W -> Features: maps of (N, dims[i], ceil(H / 2**(i+2)), ...).

    Built in training form; `reparameterize` gives the deploy form. With `checkpoint_gradients` set, training keeps no
    activations inside blocks and computes them again in the backward pass: slower, and far less memory.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpoint_gradients = False
        ins = (config.in_chans, *config.dims)
        layers: list[nn.Module] = [Stem(config.in_chans, config.dims[0])]
        layers += [downsample(ins[i], ins[i + 1]) for i in range(1, len(config.dims))]
        self.downsamples = nn.ModuleList(layers)
        self.stages = nn.ModuleList(nn.Sequential(*blocks) for blocks in _blocks(config))
        norms = (LayerNorm2d(dim) if config.normalized_features else nn.Identity() for dim in config.dims)
        self.feature_norms = nn.ModuleList(norms)
        self.apply(_init_weights)

    def forward(self, x: Tensor) -> Features:
        maps = []
        for downsample_layer, stage, norm in zip(self.downsamples, self.stages, self.feature_norms, strict=True):
            x = self._run_stage(stage, downsample_layer(x))
            maps.append(norm(x))  # the trunk goes on from the map as it was
        return tuple(maps)

    def _run_stage(self, stage: nn.Module, x: Tensor) -> Tensor:
        for block in stage.children():
            recompute = self.checkpoint_gradients and torch.is_grad_enabled()
            x = checkpoint(block, x, use_reentrant=False) if recompute else block(x)
        return x


def _blocks(config: BackboneConfig) -> Iterator[list[UniRepLKNetBlock]]:
    rates = iter(torch.linspace(0, config.drop_path, sum(config.depths), device="cpu").tolist())
    for dim, sizes in zip(config.dims, config.kernel_sizes, strict=True):
        yield [UniRepLKNetBlock(dim, size, next(rates), config.layer_scale_init) for size in sizes]


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
