"""The authors' names for our weights, in both structures, of classifiers and of dense prediction.

Their layout: github.com/AILab-CVC/UniRepLKNet, unireplknet.py. Names differ by module, and two kinds of tensor by
shape: their gate is made of 1x1 convolutions, their response norm keeps (1, 1, 1, 4C).
"""

import re
from collections.abc import Mapping

from torch import Tensor

from models.block import SMALLEST_REPARAM_KERNEL
from models.config import BackboneConfig
from models.reparam import BRANCHES

# Ours -> theirs, applied in this order; depthwise kernels are named by `_dwconv_names`.
RENAMES = (
    (r"^head\.norm\.", "norm."),
    (r"^head\.linear\.", "head."),
    (r"^backbone\.feature_norms\.(\d)\.", r"norm\1."),
    (r"^backbone\.downsamples\.", "downsample_layers."),
    (r"^backbone\.stages\.", "stages."),
    (r"\.pwconv1\.", ".pwconv1.1."),
    (r"\.grn\.", ".act.1."),
    (r"\.pwconv2\.", ".pwconv2.0."),
    (r"\.norm2\.", ".pwconv2.2."),
)
DWCONV = re.compile(r"^(stages\.(\d+)\.(\d+)\.dwconv\.)(.*\.)?(\w+)$")


def to_upstream(weights: Mapping[str, Tensor], config: BackboneConfig) -> dict[str, Tensor]:
    """Our weights (keys with `backbone.`, `head.`) under the authors' names and in their shapes."""
    return {upstream_name(k, config): value.reshape(_upstream_shape(k, value)) for k, value in weights.items()}


def upstream_name(key: str, config: BackboneConfig) -> str:
    """The authors' name of one of our keys; both structures, classifier and dense prediction."""
    for ours, theirs in RENAMES:
        key = re.sub(ours, theirs, key)
    found = DWCONV.match(key)
    if not found:
        return key
    block, stage, index, module, leaf = found.groups(default="")
    return block + _dwconv_names(config.kernel_sizes[int(stage)][int(index)])[module] + leaf


def _dwconv_names(size: int) -> dict[str, str]:
    """Names inside `dwconv`, ours -> theirs, for a kernel of this size."""
    if size < SMALLEST_REPARAM_KERNEL:
        return {"": ""}
    names = {"": "lk_origin.", "origin.conv.": "lk_origin.", "origin.norm.": "origin_bn."}
    for i, (k, dilation) in enumerate(BRANCHES[size]):
        names |= {
            f"branches.{i}.conv.": f"dil_conv_k{k}_{dilation}.",
            f"branches.{i}.norm.": f"dil_bn_k{k}_{dilation}.",
        }
    return names


def _upstream_shape(key: str, value: Tensor) -> tuple[int, ...]:
    if ".grn." in key:
        return (1, 1, 1, *value.shape)
    return (*value.shape, 1, 1) if ".se." in key and key.endswith("weight") else tuple(value.shape)
