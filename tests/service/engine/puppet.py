"""A model that does what its views tell it to. Engine processes import it by name: its folder must be on the path."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch

from models.description import CheckpointError, ModelCard
from models.heads.classification import ClassificationHead
from models.perception import PerceptionModel
from models.postprocessors.base import Row
from models.predictor import Predictor
from preprocessors.base import Array, Preprocessor
from service.pipeline import Pipeline
from service.settings import Settings
from service.tasks import TASKS

LARGE, STRIDE = 100_000, 101
LABELS = ("left", "right")


def fail(error: Exception) -> Callable[[], NoReturn]:
    def act() -> NoReturn:
        raise error

    return act


def compute(seconds: float) -> None:
    """Of CPU, however long that takes."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


# By the first number of a batch, which are negative; others are echoed
ACTS: dict[int, Callable[[], Any]] = {
    -1: fail(RuntimeError("thirteen")),
    -2: fail(FloatingPointError("logits came out as NaN")),
    -3: fail(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")),
    -4: fail(torch.AcceleratorError("CUDA error: an illegal memory access was encountered")),
    -5: lambda: time.sleep(1000),
    -6: lambda: os.kill(os.getpid(), signal.SIGKILL),
    -7: lambda: time.sleep(0.3),
    -8: fail(ZeroDivisionError("by zero")),
    -9: fail(MemoryError()),
    -10: lambda: compute(1.5),
}


class Puppet(Pipeline):
    """Rows: `echo` is the view doubled, `facts` are the number of threads and the size of the batch."""

    def run(self, views: Sequence[Array]) -> list[Row]:
        batch = self.preprocessor.collate(views)
        if batch.numel():
            ACTS.get(int(batch.flatten()[0]), lambda: None)()
        facts = np.array([torch.get_num_threads(), len(batch)], np.float32)
        return [{"echo": 2 * shortened(view).float().numpy(), "facts": facts} for view in batch]


def shortened(view: Any) -> Any:
    """Of a large view, a number here and there."""
    return view if view.size().numel() < LARGE else view.flatten()[::STRIDE]


@dataclass(frozen=True)
class PuppetPreprocessor(Preprocessor[Any]):
    size: int = 2

    def blank(self) -> Array:
        return np.zeros(self.size, np.float32)

    def transform(self, batch: torch.Tensor) -> torch.Tensor:
        return batch


def load(settings: Settings) -> dict[str, Pipeline]:
    path, head = "classify/image", ClassificationHead(2, LABELS)
    model = PerceptionModel(torch.nn.Identity(), head)  # type: ignore[arg-type]
    preprocessor = PuppetPreprocessor()
    predictor = Predictor(model, preprocessor.transform, torch.device(settings.device))
    return {"puppet": Puppet(path, TASKS[path], ModelCard("puppet"), "1", preprocessor, head.postprocessor, predictor)}


def load_nothing(settings: Settings) -> NoReturn:
    raise CheckpointError("there is no such file")


def die_loading(settings: Settings) -> NoReturn:
    os._exit(5)


def hang_loading(settings: Settings) -> NoReturn:
    time.sleep(1000)
    raise AssertionError
