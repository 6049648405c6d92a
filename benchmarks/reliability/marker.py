"""Models that answer with the mark of their input, taking their time and keeping a record of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.null_model import without_network
from benchmarks.reliability.marks import MARKS
from models.heads.classification import ClassificationHead
from models.postprocessors.base import Row
from preprocessors.base import Array
from service.pipeline import Pipeline
from service.settings import Settings

HALF = 1 << 12  # marks travel as two numbers that float32 holds exactly
CLASSES = 10
WIDTH = 3


@dataclass(frozen=True, kw_only=True)
class MarkedPipeline(Pipeline):
    """A batch takes start_s + n each_s. ledger: a file that gets a line for each: begin, end, the marks.

    The embedding is the two halves of the mark and the place of the model; the best class is the mark's last digit.
    """

    place: int
    start_s: float = 0.0
    each_s: float = 0.0
    ledger: str = ""

    def run(self, views: Sequence[Array]) -> list[Row]:
        began = time.monotonic()
        marks = [int(view[0]) if (view == view[0]).all() else -1 for view in views]
        time.sleep(self.start_s + self.each_s * len(views))
        if self.ledger:
            with open(self.ledger, "a") as file:
                file.write(f"{began} {time.monotonic()} {' '.join(map(str, marks))}\n")
        return [self._row(mark) for mark in marks]

    def warm_up_at(self, size: int) -> None:
        """It is as slow as it will ever be."""

    def _row(self, mark: int) -> Row:
        logits = np.zeros(CLASSES, np.float32)
        logits[mark % CLASSES] = 9
        return {"logits": logits, "embedding": np.array([mark // HALF, mark % HALF, self.place], np.float32)}


def mark_of(embedding: Sequence[float]) -> int:
    return int(embedding[0]) * HALF + int(embedding[1])


def marked_pipelines(start_s: float, each_s: float, ledger: str, settings: Settings) -> dict[str, Pipeline]:
    """Two models for every task, <modality>-0 and <modality>-1."""
    pipelines: dict[str, Pipeline] = {}
    for path, kind in MARKS.items():
        for place in range(2):
            name = f"{kind.modality}-{place}"
            head = ClassificationHead(WIDTH, [str(digit) for digit in range(CLASSES)])
            own = {"place": place, "start_s": start_s, "each_s": each_s, "ledger": ledger}
            pipelines[name] = without_network(MarkedPipeline, name, path, kind(), head, **own)
    return pipelines
