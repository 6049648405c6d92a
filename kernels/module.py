"""The depthwise convolution as a layer."""

from typing import Any

import torch
from torch import Tensor, nn

from kernels.depthwise_conv2d import depthwise_conv2d
from kernels.packing import forget


class DepthwiseConv2d(nn.Conv2d):
    """In place of `nn.Conv2d(channels, channels, K, padding=dilation * (K // 2), dilation=dilation, groups=channels)`.

    It keeps the map's size; its state dict, its initial weights and its attributes are those of the layer it replaces.
    Raises ValueError for an even kernel.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        dilation: int = 1,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel size is {kernel_size}, expected an odd one, such as {kernel_size + 1}")
        padding = dilation * (kernel_size // 2)
        super().__init__(
            channels,
            channels,
            kernel_size,
            padding=padding,
            dilation=dilation,
            groups=channels,
            bias=bias,
            device=device,
            dtype=dtype,
        )

    def forward(self, x: Tensor) -> Tensor:
        return depthwise_conv2d(x, self.weight, self.bias, self.dilation[0])

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        forget(self.weight)  # made in inference mode, it would not show that it was written to
