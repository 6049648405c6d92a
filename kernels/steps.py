"""The steps of inference that can be fused, by name. Triton is imported when one of its kernels first runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torch import Tensor

from kernels import library_steps
from kernels.launch import Config

LIBRARY: Config = {}  # the configuration of the library's path


@dataclass(frozen=True)
class Step:
    """library: takes (x, weight, ...). fused: the same and then a configuration, of those that `configs` lists.

    fused, configs: "module:function".
    """

    library: Callable[..., Any]
    fused: str
    configs: str

    def candidates(self, x: Tensor, weight: Tensor, *rest: object) -> Sequence[Config]:
        """Configurations worth trying for the fused kernel, its default first."""
        found: Sequence[Config] = _function(self.configs)(x, weight, *rest)
        return found

    def run(self, config: Config, *tensors: object) -> Any:
        if config == LIBRARY:
            return self.library(*tensors)
        return _function(self.fused)(*tensors, config=config)


STEPS = {
    # the depthwise convolution with the sums that squeeze-excite begins with
    "squeeze": Step(library_steps.squeeze, "kernels.triton_squeeze:squeeze", "kernels.triton_squeeze:squeeze_configs"),
    "gate": Step(library_steps.gate, "kernels.triton_gate:gate", "kernels.triton_gate:gate_configs"),
    # the gate, the first linear layer, GELU, and the sums that the response norm begins with
    "expand": Step(library_steps.expand, "kernels.triton_linear:expand", "kernels.triton_linear:linear_configs"),
    "respond": Step(library_steps.respond, "kernels.triton_gate:respond", "kernels.triton_gate:gate_configs"),
    # the response norm, the second linear layer, and the residual
    "project": Step(library_steps.project, "kernels.triton_linear:project", "kernels.triton_linear:linear_configs"),
    # the layer norm of the stem and the downsampling layers, and the stem's GELU
    "norm": Step(library_steps.layer_norm, "kernels.triton_norm:layer_norm", "kernels.triton_norm:norm_configs"),
}


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found
