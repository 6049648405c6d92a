"""A backbone compiled by OpenVINO, and trusted once it has given what torch gives."""

import openvino
import torch
from torch import Tensor, nn

from models.precision import Precision
from models.runtimes.base import Untranslatable
from models.runtimes.openvino_graph import graph
from models.unireplknet import Features, UniRepLKNet

HINTS = {Precision.FLOAT32: "f32", Precision.FLOAT16: "f16", Precision.BFLOAT16: "bf16"}
CAPABILITIES = {Precision.FLOAT32: "FP32", Precision.FLOAT16: "FP16", Precision.BFLOAT16: "BF16"}
# Of the largest number of a map, on noise: bfloat16 has 8 bits, and errors of 27 blocks add up
TOLERANCES = {Precision.FLOAT32: 1e-4, Precision.FLOAT16: 1e-2, Precision.BFLOAT16: 5e-2}
PROBE_SIDE = 64


class OpenVinoBackbone(nn.Module):
    """As UniRepLKNet, on the CPU: (N, in_chans, H, W) in float32, any N, H and W -> Features. One call at a time."""

    def __init__(self, model: openvino.CompiledModel) -> None:
        super().__init__()
        self._request = model.create_infer_request()

    def forward(self, x: Tensor) -> Features:
        numbers = x.detach().contiguous().numpy()  # named, so that they live until they are read: requests hold nothing
        self._request.set_input_tensor(openvino.Tensor(numbers, shared_memory=True))
        self._request.infer()
        # Copies: the next call writes over the request's memory
        return tuple(torch.from_numpy(tensor.data).clone() for tensor in self._request.output_tensors)


def compiled_backbone(backbone: UniRepLKNet, precision: Precision) -> tuple[OpenVinoBackbone, Precision]:
    """With the precision that it computes in. Raises Untranslatable."""
    core = openvino.Core()
    supported = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    precision = precision if CAPABILITIES[precision] in supported else Precision.FLOAT32
    compiled = OpenVinoBackbone(core.compile_model(graph(backbone), "CPU", properties(precision)))
    check(compiled, backbone, TOLERANCES[precision])
    return compiled, precision


def properties(precision: Precision) -> dict[str, object]:
    """One stream: batches come one at a time, and a batch of one must use every core. Threads are left to the
    scheduler, as decoders share the cores and other servers may.
    """
    return {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }


@torch.inference_mode()
def check(compiled: OpenVinoBackbone, backbone: UniRepLKNet, tolerance: float) -> None:
    """Raises Untranslatable where a map differs by more than `tolerance` of its largest number."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, backbone.config.in_chans, PROBE_SIDE, PROBE_SIDE, generator=generator)
    for stage, (found, expected) in enumerate(zip(compiled(noise), backbone(noise), strict=True), start=1):
        error = ((found - expected).abs().max() / expected.abs().max().clamp(min=1e-30)).item()
        if not error <= tolerance:
            raise Untranslatable(f"stage {stage} is off by {error:.1e} of its largest number, at most {tolerance:.0e}")
