"""What computes: the depthwise convolution that the whole model is built around."""

from kernels.depthwise_conv2d import depthwise_conv2d

__all__ = ["depthwise_conv2d"]
