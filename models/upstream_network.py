"""The network that a state dict of the authors belongs to, read off its names and shapes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.checkpoint import check_keys
from models.config import STAGES, VARIANTS, BackboneConfig, KernelSizes
from models.description import CheckpointError, Structure
from models.heads.classification import ClassificationHead
from models.perception import PerceptionModel
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet
from models.upstream import to_upstream, upstream_name

KERNEL = re.compile(r"^stages\.(\d+)\.(\d+)\.dwconv\.(?:lk_origin\.)?weight$")


@dataclass(frozen=True)
class UpstreamNetwork:
    """The network that a state dict belongs to. classes: None where there is no classifier (dense prediction)."""

    config: BackboneConfig
    structure: Structure
    classes: int | None

    @property
    def variant(self) -> str | None:
        """Published size with these depths and widths; None for any other network."""
        sizes = {(row.depths, row.dims): name for name, row in VARIANTS.items()}
        return sizes.get((self.config.depths, self.config.dims))


def describe(tensors: Mapping[str, Tensor]) -> UpstreamNetwork:
    """Read depths, widths, kernel sizes, channels, structure and classes off names and shapes.

    Raises CheckpointError where the trunk's own tensors are missing.
    """
    sizes = _kernel_sizes(tensors)
    config = BackboneConfig(
        depths=tuple(map(len, sizes)),
        dims=tuple(_side(tensors, f"downsample_layers.{i}.{0 if i else 3}.weight", 0) for i in range(STAGES)),
        kernel_sizes=sizes,
        in_chans=_side(tensors, "downsample_layers.0.0.weight", 1),
        normalized_features="norm0.weight" in tensors,
    )
    structure = Structure.DEPLOY if "stages.0.0.pwconv2.0.bias" in tensors else Structure.TRAINING
    classes = _side(tensors, "head.weight", 0) if "head.weight" in tensors else None
    return UpstreamNetwork(config, structure, classes)


def from_upstream(tensors: Mapping[str, Tensor], network: UpstreamNetwork, name: str) -> dict[str, Tensor]:
    """The weights under our names (`backbone.`, `head.`); raises CheckpointError naming the keys that do not fit."""
    ours = blueprint(network).state_dict()
    check_keys(to_upstream(ours, network.config), dict(tensors), name)
    return {k: tensors[upstream_name(k, network.config)].reshape(value.shape) for k, value in ours.items()}


def blueprint(network: UpstreamNetwork) -> nn.Module:
    """The network on the meta device: names and shapes, no numbers. Without classes, its trunk alone."""
    try:
        with torch.device("meta"):
            backbone = UniRepLKNet(network.config)
            if network.classes is None:
                model: nn.Module = nn.ModuleDict({"backbone": backbone})
            else:
                head = ClassificationHead(network.config.dims[-1], [""] * network.classes)
                model = PerceptionModel(backbone, head)
            return reparameterize(model) if network.structure is Structure.DEPLOY else model
    except ValueError as error:
        raise CheckpointError(f"these weights describe a network that cannot be built: {error}") from error


def _kernel_sizes(tensors: Mapping[str, Tensor]) -> KernelSizes:
    found = ((KERNEL.match(key), value.shape[-1]) for key, value in tensors.items() if value.ndim == 4)
    sizes = {(int(match[1]), int(match[2])): size for match, size in found if match}
    stages = tuple(tuple(sizes[at] for at in sorted(sizes) if at[0] == stage) for stage in range(STAGES))
    if not all(stages):
        counts = tuple(map(len, stages))
        raise CheckpointError(
            f"found {counts} UniRepLKNet blocks in the {STAGES} stages, expected at least one in each: "
            f"these are not, or not all, the weights of a UniRepLKNet (keys such as {sorted(tensors)[:3]})"
        )
    return stages


def _side(tensors: Mapping[str, Tensor], key: str, axis: int) -> int:
    if key not in tensors or tensors[key].ndim <= axis:
        raise CheckpointError(f"{key} is missing or has too few axes: these are not the weights of a UniRepLKNet")
    return tensors[key].shape[axis]
