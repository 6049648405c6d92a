"""OpenVINO computes the backbone, nearly all of a forward pass, on a CPU. Embedding and head stay with torch.

So one translation serves every modality, and what depends on the request, such as a tree of stations, is not compiled.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from models.perception import PerceptionModel
from models.precision import Precision
from models.runtimes.base import Compiled, Target, Untranslatable

PACKAGE = "openvino"
TELEMETRY = "openvino_telemetry"


class OpenVinoRuntime:
    """In half precision where the processor has it, else in float32, which is then faster as well as more exact.

    As many threads as torch has when a model is compiled.
    """

    name = "openvino"

    def obstacle(self, device: torch.device) -> str | None:
        if device.type != "cpu":
            return f"it does not run on {device}: choose auto or torch"
        if importlib.util.find_spec(PACKAGE) is None:
            return "it is not installed: pip install 'unireplknet-service[openvino]', or choose auto or torch"
        return None

    def compile(self, model: PerceptionModel, target: Target) -> Compiled:
        try:
            with without_telemetry():
                from models.runtimes.openvino_backbone import compiled_backbone
            backbone, precision = compiled_backbone(model.backbone, target.precision)
        except (ImportError, RuntimeError) as error:  # a broken installation; whatever OpenVINO raises
            raise Untranslatable(f"OpenVINO fails: {error}") from error
        whole = PerceptionModel(backbone, model.head, model.embedding).eval()  # type: ignore[arg-type]
        return Compiled(self.name, whole, precision, Precision.FLOAT32.dtype)


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Importing OpenVINO tells its maker so, and writes to the user's home, unless the package that does is missing."""
    if TELEMETRY in sys.modules:
        yield
        return
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop(TELEMETRY, None)  # where two import at a time, the other one may have done it
