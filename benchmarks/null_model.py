"""Models that cost nothing, or only time: what is left is the cost of serving."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from benchmarks.null_preprocessor import NullPreprocessor
from models.description import ModelCard
from models.heads.base import Head
from models.heads.classification import ClassificationHead
from models.perception import PerceptionModel
from models.postprocessors.base import Row
from models.predictor import Predictor
from preprocessors.base import Array, Preprocessor
from service.pipeline import Pipeline
from service.settings import Settings
from service.tasks import TASKS

PipelineT = TypeVar("PipelineT", bound=Pipeline)

LABELS = tuple(f"class {i}" for i in range(1000))


class NullPipeline(Pipeline):
    """Answers without a forward pass."""

    def run(self, views: Sequence[Array]) -> list[Row]:
        return [{"logits": np.zeros(len(LABELS), np.float32), "embedding": np.zeros(8, np.float32)} for _ in views]


def without_network(
    kind: type[PipelineT], name: str, path: str, preprocessor: Preprocessor[Any], head: Head, **more: Any
) -> PipelineT:
    """A pipeline whose `run` computes nothing. more: fields of its own."""
    model = PerceptionModel(torch.nn.Identity(), head)  # type: ignore[arg-type]
    predictor = Predictor(model, preprocessor.transform, torch.device("cpu"))
    return kind(path, TASKS[path], ModelCard(name), "0", preprocessor, head.postprocessor, predictor, **more)


def null_pipelines(settings: Settings) -> dict[str, Pipeline]:
    head = ClassificationHead(8, LABELS)
    return {"null": without_network(NullPipeline, "null", "classify/image", NullPreprocessor(), head)}


@dataclass(frozen=True, kw_only=True)
class SlowPipeline(NullPipeline):
    start_s: float
    each_s: float

    def run(self, views: Sequence[Array]) -> list[Row]:
        time.sleep(self.start_s + self.each_s * len(views))
        return super().run(views)

    def warm_up_at(self, size: int) -> None:
        """It is as slow as it will ever be."""


def slow_pipelines(start_s: float, each_s: float, settings: Settings) -> dict[str, Pipeline]:
    return {
        name: SlowPipeline(**vars(pipeline), start_s=start_s, each_s=each_s)
        for name, pipeline in null_pipelines(settings).items()
    }
