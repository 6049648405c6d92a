"""What the depthwise convolution takes, checked before any backend sees it: kernels read memory by these shapes."""

from torch import Tensor


def check_arguments(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> None:
    """ValueError where the shapes, dtypes or devices do not fit each other; a few microseconds where they do."""
    _check_kernel(weight, dilation)
    if x.ndim != 4:
        raise ValueError(f"map has shape {_shape(x)}, expected (N, C, H, W): give one map a batch with x[None]")
    channels = x.shape[1]
    if weight.shape[0] != channels:
        raise ValueError(
            f"weight has shape {_shape(weight)}, expected ({channels}, 1, K, K) for a map of {channels} channels: "
            f"pass one kernel for each channel"
        )
    if bias is not None and (bias.ndim != 1 or bias.shape[0] != channels):
        raise ValueError(f"bias has shape {_shape(bias)}, expected ({channels},): pass one number for each channel")
    _check_alike("weight", weight, x)
    if bias is not None:
        _check_alike("bias", bias, x)


def _check_kernel(weight: Tensor, dilation: int) -> None:
    if weight.ndim != 4 or weight.shape[1] != 1:
        raise ValueError(f"weight has shape {_shape(weight)}, expected (C, 1, K, K): one kernel for each channel")
    _, _, height, width = weight.shape
    if height != width or height % 2 == 0:
        raise ValueError(
            f"kernel is {height}x{width}, expected a square of odd size, such as 13x13: pad it with zeros to one"
        )
    if dilation < 1:
        raise ValueError(f"dilation is {dilation}, expected 1 or more: 1 leaves no gaps between the taps")


def _check_alike(name: str, tensor: Tensor, x: Tensor) -> None:
    if tensor.dtype is not x.dtype:
        raise ValueError(
            f"{name} is {tensor.dtype}, expected the map's {x.dtype}: cast one, or run under torch.autocast"
        )
    if tensor.device != x.device:
        raise ValueError(f"{name} is on {tensor.device}, expected the map's {x.device}: move one to the other")


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
