"""What computes: the depthwise convolution that the whole model is built around, and the block around it, fused."""

from kernels.depthwise_conv2d import depthwise_conv2d
from kernels.fused_block import BlockWeights, channel_layer_norm, fused_block
from kernels.fusions import fuses
from kernels.module import DepthwiseConv2d

__all__ = ["BlockWeights", "DepthwiseConv2d", "channel_layer_norm", "depthwise_conv2d", "fused_block", "fuses"]
