"""BentoML: one service with one worker, whose API is batchable, without the second hop that a service in front costs.

The longest wait is that of the others, so that adaptive batching sheds nothing while it learns; `max_concurrency`
bounds what is let in.
"""

from typing import Any

import bentoml
from PIL.Image import Image

from benchmarks.peers.setting import BOUND, MAX_BATCH, ROUTE
from benchmarks.peers.workload import Workload


@bentoml.service(
    workers=1,
    traffic={"timeout": 60, "max_concurrency": BOUND},
    logging={"access": {"enabled": False}},
    metrics={"enabled": True},
)
class Classifier:
    def __init__(self) -> None:
        self.workload = Workload()

    @bentoml.api(route=ROUTE, batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=60_000)
    def classify(self, file: list[Image]) -> list[dict[str, Any]]:
        return self.workload.predict([self.workload.view(image) for image in file])
