"""A deployed backbone as a graph of OpenVINO, layer by layer: in milliseconds, where tracing takes seconds.

Its linear layers become 1 x 1 convolutions. OpenVINO then keeps maps channels-last throughout, and GELU and the
residual sum become part of the convolutions; written as matrix products, every block transposes its map twice.
Weights are shared with torch until the graph is compiled.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino
import openvino.opset15 as op
from torch import Tensor, nn

from kernels import DepthwiseConv2d
from models.block import FusedBlock
from models.layers import GlobalResponseNorm, LayerNorm2d, SqueezeExcite
from models.runtimes.base import Untranslatable
from models.unireplknet import UniRepLKNet

Node = Any  # of openvino, which has no types
CHANNELS, ROWS, COLUMNS = 1, 2, 3
TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


def graph(backbone: UniRepLKNet) -> openvino.Model:
    """(N, in_chans, H, W), all but in_chans of any size -> the map of every stage. Raises Untranslatable."""
    x = op.parameter([-1, backbone.config.in_chans, -1, -1], np.float32)
    maps, trunk = [], x
    stages = zip(backbone.downsamples, backbone.stages, backbone.feature_norms, strict=True)
    for downsample, stage, norm in stages:
        trunk = translated(stage, translated(downsample, trunk))
        maps.append(translated(norm, trunk))
    return openvino.Model([op.result(node) for node in maps], [x], "backbone")


def translated(layer: nn.Module, x: Node) -> Node:
    if type(layer) not in TRANSLATIONS:
        raise Untranslatable(f"{type(layer).__name__} has no translation")
    return TRANSLATIONS[type(layer)](layer, x)


def _sequence(layers: nn.Sequential, x: Node) -> Node:
    for layer in layers:
        x = translated(layer, x)
    return x


def _gelu(layer: nn.GELU, x: Node) -> Node:
    return op.gelu(x, "erf" if layer.approximate == "none" else layer.approximate)


def _conv(layer: nn.Conv2d, x: Node) -> Node:
    if layer.groups != 1 or isinstance(layer.padding, str):
        raise Untranslatable(f"{layer} has no translation")
    padding = list(layer.padding)
    y = op.convolution(x, _constant(layer.weight), list(layer.stride), padding, padding, list(layer.dilation))
    return _with_bias(y, layer.bias)


def _depthwise(layer: DepthwiseConv2d, x: Node) -> Node:
    assert not isinstance(layer.padding, str), "the layer gives it as numbers"
    padding, dilation = list(layer.padding), list(layer.dilation)
    kernels = _constant(layer.weight.unsqueeze(1))  # (groups, 1, 1, K, K)
    return _with_bias(op.group_convolution(x, kernels, [1, 1], padding, padding, dilation), layer.bias)


def _pointwise(layer: nn.Linear, x: Node) -> Node:
    """A linear layer over the channels of an (N, C, H, W) map."""
    y = op.convolution(x, _constant(layer.weight[:, :, None, None]), [1, 1], [0, 0], [0, 0], [1, 1])
    return _with_bias(y, layer.bias)


def _layer_norm(layer: LayerNorm2d, x: Node) -> Node:
    y = op.mvn(op.transpose(x, _axes(TO_NHWC)), _axes((-1,)), True, layer.eps, "inside_sqrt")
    y = op.add(op.multiply(y, _constant(layer.weight)), _constant(layer.bias))
    return op.transpose(op.gelu(y, "erf") if layer.gelu else y, _axes(TO_NCHW))


def _squeeze_excite(layer: SqueezeExcite, x: Node) -> Node:
    squeezed = op.reduce_mean(x, _axes((ROWS, COLUMNS)), True)
    return op.multiply(x, op.sigmoid(_pointwise(layer.up, op.relu(_pointwise(layer.down, squeezed)))))


def _response_norm(layer: GlobalResponseNorm, x: Node) -> Node:
    if layer.beta is not None:
        raise Untranslatable("a response norm with beta is not in deploy form")
    norm = op.reduce_l2(x, _axes((ROWS, COLUMNS)), True)
    mean = op.reduce_mean(norm, _axes((CHANNELS,)), True)
    response = op.divide(norm, op.add(mean, _number(layer.eps)))
    return op.multiply(x, op.add(op.multiply(response, _per_channel(layer.gamma)), _number(1.0)))


def _block(block: FusedBlock, x: Node) -> Node:
    y = _squeeze_excite(block.se, _depthwise(block.dwconv, x))
    y = _response_norm(block.grn, op.gelu(_pointwise(block.pwconv1, y), "erf"))
    return op.add(x, _pointwise(block.pwconv2, y))


def _with_bias(y: Node, bias: Tensor | None) -> Node:
    return y if bias is None else op.add(y, _per_channel(bias))


def _per_channel(values: Tensor) -> Node:
    return _constant(values.reshape(1, -1, 1, 1))


def _constant(tensor: Tensor) -> Node:
    return op.constant(tensor.detach().contiguous().numpy(), shared_memory=True)


def _number(value: float) -> Node:
    return op.constant(np.float32(value))


def _axes(axes: Sequence[int]) -> Node:
    return op.constant(np.array(axes, dtype=np.int64))


TRANSLATIONS: dict[type[nn.Module], Callable[[Any, Node], Node]] = {
    FusedBlock: _block,
    LayerNorm2d: _layer_norm,
    nn.Conv2d: _conv,
    nn.GELU: _gelu,
    nn.Identity: lambda layer, x: x,
    nn.Sequential: _sequence,
}
