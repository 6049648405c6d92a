"""The server with a model that computes nothing and only takes its time: `seconds of a batch` + n `of each sample`.

Arguments: these two. Settings come by the environment.
"""

import sys
import time
from collections.abc import Sequence

from benchmarks.null_server import NullPipeline, null_pipelines
from models.heads.base import Row
from preprocessors.base import Array
from service.pipeline import Pipeline
from service.server import run_server
from service.settings import Settings

START_S, EACH_S = map(float, sys.argv[1:])


class SlowPipeline(NullPipeline):
    def run(self, views: Sequence[Array]) -> list[Row]:
        time.sleep(START_S + EACH_S * len(views))
        return super().run(views)

    def warm_up(self, max_batch_size: int) -> None:
        """It is as slow as it will ever be."""


def slow_pipelines(settings: Settings) -> dict[str, Pipeline]:
    return {name: SlowPipeline(**vars(pipeline)) for name, pipeline in null_pipelines(settings).items()}


if __name__ == "__main__":
    run_server(Settings(decode_workers=1, device="cpu"), slow_pipelines)
