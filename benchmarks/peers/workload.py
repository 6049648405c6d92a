"""What every candidate serves: the same work behind every framework, and nothing of this project's service around it.

A picture is decoded by Pillow the plain way, a batch goes through the same `models.Predictor`, labels are ranked by the
same head. `null` decodes nothing and computes nothing, so what it costs is the framework.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.null_model import null_pipelines
from benchmarks.peers.setting import CLOTHING, WORKLOAD
from models.postprocessors.classification import ClassificationOptions
from preprocessors.base import Array
from service.pipeline import Pipeline, load_pipelines
from service.settings import Settings


class Workload:
    """`view` for one picture, `predict` for a batch of views: all that a framework needs."""

    def __init__(self, name: str = WORKLOAD) -> None:
        torch.set_num_threads(1)
        self._pipeline = PIPELINES[name](Settings(device="cpu", threads=1, checkpoints=(CLOTHING,)))
        self.view = VIEWS[name]

    def decode(self, payload: bytes) -> Array:
        """As `view`, for an encoded picture. Raises what Pillow raises."""
        return self.view(Image.open(io.BytesIO(payload)))

    def predict(self, views: Sequence[Array]) -> list[dict[str, Any]]:
        options = ClassificationOptions()
        return [
            asdict(self._pipeline.postprocessor.interpret([row], options)) for row in self._pipeline.run(list(views))
        ]


def null_view(image: Image.Image) -> Array:
    return np.zeros((224, 224, 3), np.uint8)


def clothing_view(image: Image.Image) -> Array:
    """(88, 88, 3): the whole picture's central square, as the checkpoint's preprocessor has it."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.convert("RGB").crop((left, top, left + side, top + side))
    return np.asarray(square.resize((88, 88), Image.Resampling.BICUBIC))


def _only(pipelines: dict[str, Pipeline]) -> Pipeline:
    (pipeline,) = pipelines.values()
    return pipeline


PIPELINES: dict[str, Callable[[Settings], Pipeline]] = {
    "null": lambda settings: _only(null_pipelines(settings)),
    "clothing10": lambda settings: _only(load_pipelines(settings)),
}
VIEWS: dict[str, Callable[[Image.Image], Array]] = {"null": null_view, "clothing10": clothing_view}
