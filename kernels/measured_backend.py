"""The backend that was measured to be the fastest for one shape on one device, among those that fit it.

Kept and looked up as launch configurations are (`kernels.tuning`), the name in the place of a block size. Backends are
measured with the configurations of their own kernels, which are found on the way.
"""

from collections.abc import Sequence

from torch import Tensor

from kernels.backends import BACKENDS
from kernels.launch import Config
from kernels.layout import memory_format
from kernels.tuning import launch_config


def measured_backend(names: Sequence[str], x: Tensor, weight: Tensor, bias: Tensor | None) -> str:
    """One of `names`, the first where nothing was measured. x: (N, C, H, W); weight: (C, 1, K, K); bias: (C,).

    Measures only within `kernels.tuning.tuned`, as every configuration.
    """

    def run(config: Config) -> Tensor:
        return BACKENDS[_name(config)].run(x, weight, bias, 1)

    case = ("backend", x.dtype, memory_format(x), *x.shape, weight.shape[-1])
    return _name(launch_config(case, x.device, [{name: 1} for name in names], run))


def _name(config: Config) -> str:
    (name,) = config
    return name
