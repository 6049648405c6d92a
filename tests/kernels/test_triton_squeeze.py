"""The convolution with sums: which kernels may be chosen, and that a configuration finds its own."""

import pytest
import torch

from kernels.reference import reference_depthwise_conv2d
from tests.kernels.problems import TOLERANCE, assert_convolved, drawn, error, needs_triton, poisoned, problem

pytestmark = needs_triton


@pytest.mark.parametrize("tensor_cores", [True, False])
def test_every_configuration_reaches_its_kernel(tensor_cores: bool) -> None:
    from kernels.triton_squeeze import TENSOR_CORES, squeeze, squeeze_configs

    x, weight, bias = problem(1, 5, 3, 4, 3, torch.float16)
    x = x.contiguous(memory_format=torch.channels_last)
    config = next(config for config in squeeze_configs(x, weight) if (TENSOR_CORES in config) is tensor_cores)
    with poisoned():
        found, sums = squeeze(x, weight, bias, config)
    assert_convolved(found, x, weight, bias)
    assert error(sums.sum(dim=1), reference_depthwise_conv2d(x, weight, bias).sum((2, 3))) < TOLERANCE[torch.float32]


@pytest.mark.parametrize(
    ("dtype", "size", "kernels", "prefers_tensor_cores"),
    [
        (torch.bfloat16, 13, 2, True),
        (torch.float16, 7, 2, True),
        (torch.float16, 3, 2, False),
        (torch.float32, 13, 1, False),
    ],
)
def test_tensor_cores_are_for_half_precision_and_first_for_large_kernels(
    dtype: torch.dtype, size: int, kernels: int, prefers_tensor_cores: bool
) -> None:
    from kernels.triton_squeeze import TENSOR_CORES, squeeze_configs

    configs = squeeze_configs(drawn(1, 32, 14, 14, dtype=dtype), drawn(32, 1, size, size, dtype=dtype))
    assert len({frozenset(config) for config in configs}) == kernels
    assert (TENSOR_CORES in configs[0]) is prefers_tensor_cores
