"""The depthwise convolution with the sums of its channels, on tensor cores or on CUDA cores."""

from torch import Tensor

from kernels.channels_last_blocks import channels_last_configs
from kernels.dispatch import HALVES, LARGE_KERNELS
from kernels.launch import Config
from kernels.triton_channels_last import channels_last_depthwise_conv2d_with_sums
from kernels.triton_forward import sliding_configs, sliding_depthwise_conv2d_with_sums

TENSOR_CORES = "OUTPUTS"  # a block size that only the kernel for tensor cores has


def squeeze(x: Tensor, weight: Tensor, bias: Tensor | None, config: Config) -> tuple[Tensor, Tensor]:
    """x: (N, C, H, W); weight: (C, 1, K, K); bias: (C,). Returns the output, (N, C, H, W), and the sums of its channels
    over positions, in parts: (N, parts, C), float32. By the kernel whose configuration this is."""
    tensor_cores = TENSOR_CORES in config
    kernel = channels_last_depthwise_conv2d_with_sums if tensor_cores else sliding_depthwise_conv2d_with_sums
    return kernel(x, weight, bias, config)


def squeeze_configs(x: Tensor, weight: Tensor, *_: object) -> tuple[Config, ...]:
    """Those of the kernel that the table of backends prefers for such maps, and the default of the other; in float32
    those of CUDA cores alone."""
    n, channels, height, width = x.shape
    cuda_cores = sliding_configs(n, channels, height, width)
    if x.dtype not in HALVES:
        return cuda_cores
    tensor_cores = channels_last_configs(n, channels, height, width)
    large = weight.shape[-1] in LARGE_KERNELS
    return (*tensor_cores, cuda_cores[0]) if large else (*cuda_cores, tensor_cores[0])
