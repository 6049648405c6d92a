"""Ray Serve: FastAPI in front of `serve.batch`, one replica, a window of 2 ms."""

from typing import Annotated, Any

from fastapi import FastAPI, File
from ray import serve

from benchmarks.peers.setting import BOUND, MAX_BATCH, ROUTE
from benchmarks.peers.workload import Workload
from preprocessors.base import Array

api = FastAPI()


@serve.deployment(
    num_replicas=1,
    ray_actor_options={"num_cpus": 1},
    max_ongoing_requests=BOUND,
    max_queued_requests=BOUND,
    logging_config={"enable_access_log": False, "log_level": "WARNING"},
)
@serve.ingress(api)
class Classifier:
    def __init__(self) -> None:
        self.workload = Workload()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=0.002)
    async def predict(self, views: list[Array]) -> list[dict[str, Any]]:
        return self.workload.predict(views)

    @api.post(ROUTE)
    async def classify(self, file: Annotated[bytes, File()]) -> dict[str, Any]:
        answer: dict[str, Any] = await self.predict(self.workload.decode(file))
        return answer


app = Classifier.bind()  # type: ignore[attr-defined]  # what the decorators make of it
