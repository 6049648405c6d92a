"""What computes a network in the comparison: ours as it is served, and what else there is."""

import copy
import importlib.util
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.clock import Run
from benchmarks.compiling import compiled
from benchmarks.plain_network import PlainClassifier
from models.perception import PerceptionModel
from models.precision import Precision
from models.runtimes.base import Target
from models.runtimes.openvino import without_telemetry
from models.runtimes.registry import RUNTIMES
from models.tuning import tuned_kernels
from service.engine.device import engine_device

TUNING_S = 60
Prepare = Callable[[PerceptionModel, Tensor, Precision], Run]


def served(runtime: str) -> Prepare:
    def prepare(model: PerceptionModel, x: Tensor, precision: Precision) -> Run:
        network = RUNTIMES[runtime].compile(copy.deepcopy(model), Target(x.device, precision))
        return lambda: network(x)["logits"]

    return prepare


def replayed(model: PerceptionModel, x: Tensor, precision: Precision) -> Run:
    """As an engine with a GPU serves it: kernels measured at warm-up, and the whole pass replayed."""
    network = RUNTIMES["torch"].compile(copy.deepcopy(model), Target(x.device, precision))
    with torch.inference_mode():
        with tuned_kernels(x.device, TUNING_S):
            network(x)
        captured = engine_device(x.device).capture(lambda: {"logits": network(x)["logits"].float()})

    def run() -> Tensor:
        captured.replay()
        return captured.outputs["logits"]

    return run


def eager(memory_format: torch.memory_format) -> Prepare:
    """The plain network in torch, in this format."""

    def prepare(model: PerceptionModel, x: Tensor, precision: Precision) -> Run:
        plain, given = plain_in(memory_format, model, x, precision)
        return lambda: plain(given)

    return prepare


def autotuned(memory_format: torch.memory_format) -> Prepare:
    """The plain network by torch.compile, which measures what it can choose from, and replays."""

    def prepare(model: PerceptionModel, x: Tensor, precision: Precision) -> Run:
        plain, given = plain_in(memory_format, model, x, precision)
        network = compiled(plain, "max-autotune")

        def run() -> Tensor:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            logits: Tensor = network(given)
            return logits

        return run

    return prepare


def plain_in(
    memory_format: torch.memory_format, model: PerceptionModel, x: Tensor, precision: Precision
) -> tuple[nn.Module, Tensor]:
    plain = PlainClassifier(copy.deepcopy(model)).to(precision.dtype).to(memory_format=memory_format)  # type: ignore[call-overload]
    return plain, x.to(precision.dtype).contiguous(memory_format=memory_format)


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
PLAIN = {EAGER: eager(torch.contiguous_format), "eager, channels last": eager(torch.channels_last)}
CANDIDATES: dict[str, dict[str, Prepare]] = {
    "cpu": {
        **PLAIN,
        "onnxruntime": onnxruntime_alone,
        "openvino": openvino_alone,
        "torch, served": served("torch"),
        "openvino, served": served("openvino"),
    },
    "cuda": {  # what takes longest to prepare comes last
        **PLAIN,
        "torch, served": replayed,
        "torch.compile max-autotune, channels last": autotuned(torch.channels_last),
        "torch.compile max-autotune": autotuned(torch.contiguous_format),
    },
}
NEEDS = {"onnxruntime": "onnxruntime", "openvino": "openvino", "openvino, served": "openvino"}
ONLY_FLOAT32 = frozenset({"onnxruntime"})  # the exported graph has the numbers' own format


def candidates(device: str, precision: Precision) -> dict[str, Prepare]:
    """Those that are installed and can compute this."""
    return {
        name: prepare
        for name, prepare in CANDIDATES[device].items()
        if (precision is Precision.FLOAT32 or name not in ONLY_FLOAT32)
        and (name not in NEEDS or importlib.util.find_spec(NEEDS[name]) is not None)
    }


def ours(name: str) -> bool:
    return "served" in name


def slow(name: str) -> bool:
    """Minutes to prepare."""
    return name.startswith("torch.compile")
