"""What computes a network in the comparison: ours as it is served, and what else there is."""

import copy
import importlib.util
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.plain_network import PlainClassifier
from models.perception import PerceptionModel
from models.precision import Precision
from models.runtimes.base import Target
from models.runtimes.openvino import without_telemetry
from models.runtimes.registry import RUNTIMES

Run = Callable[[], Tensor]  # logits
Prepare = Callable[[PerceptionModel, Tensor, Precision], Run]


def served(runtime: str) -> Prepare:
    def prepare(model: PerceptionModel, x: Tensor, precision: Precision) -> Run:
        compiled = RUNTIMES[runtime].compile(copy.deepcopy(model), Target(x.device, precision))
        return lambda: compiled(x)["logits"]

    return prepare


def eager(memory_format: torch.memory_format) -> Prepare:
    """The plain network in torch, in this format."""

    def prepare(model: PerceptionModel, x: Tensor, precision: Precision) -> Run:
        plain = PlainClassifier(copy.deepcopy(model)).to(precision.dtype).to(memory_format=memory_format)  # type: ignore[call-overload]
        given = x.to(precision.dtype).contiguous(memory_format=memory_format)
        return lambda: plain(given)

    return prepare


def openvino_alone(model: PerceptionModel, x: Tensor, precision: Precision) -> Run:
    """The plain network through OpenVINO's own conversion, for latency, any batch."""
    with without_telemetry():
        import openvino
    from models.runtimes.openvino_backbone import HINTS

    converted = openvino.convert_model(PlainClassifier(model), example_input=x[:1])
    properties = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": HINTS[precision],
    }
    request = openvino.compile_model(converted, "CPU", properties).create_infer_request()
    given = x.numpy()
    return lambda: torch.from_numpy(request.infer([given], share_inputs=True, share_outputs=True)[0])


def onnxruntime_alone(model: PerceptionModel, x: Tensor, precision: Precision) -> Run:
    """The plain network through ONNX, any batch."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        axes = {"x": {0: "batch"}, "logits": {0: "batch"}}
        names: dict[str, Any] = {"input_names": ["x"], "output_names": ["logits"], "dynamic_axes": axes}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter, which is told to be going out of use
            torch.onnx.export(PlainClassifier(model), (x[:1],), str(file), dynamo=False, **names)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    given = {"x": x.numpy()}
    return lambda: torch.from_numpy(session.run(None, given)[0])


EAGER = "eager"  # what the others are measured by
OURS = {"torch, served": served("torch"), "openvino, served": served("openvino")}
CANDIDATES: dict[str, Prepare] = {
    EAGER: eager(torch.contiguous_format),
    "eager, channels last": eager(torch.channels_last),
    "onnxruntime": onnxruntime_alone,
    "openvino": openvino_alone,
    **OURS,
}
NEEDS = {"onnxruntime": "onnxruntime", "openvino": "openvino", "openvino, served": "openvino"}
ONLY_CPU = frozenset(NEEDS)
ONLY_FLOAT32 = frozenset({"onnxruntime"})  # the exported graph has the numbers' own format


def candidates(device: str, precision: Precision) -> dict[str, Prepare]:
    """Those that are installed and can compute this."""
    return {
        name: prepare
        for name, prepare in CANDIDATES.items()
        if (device == "cpu" or name not in ONLY_CPU)
        and (precision is Precision.FLOAT32 or name not in ONLY_FLOAT32)
        and (name not in NEEDS or importlib.util.find_spec(NEEDS[name]) is not None)
    }
