"""The server with a model that computes nothing and only takes its time: `seconds of a batch` + n `of each sample`.

Arguments: these two. Settings come by the environment.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.null_server import NullPipeline, null_pipelines
from models.heads.base import Row
from preprocessors.base import Array
from service.pipeline import Pipeline
from service.server import run_server
from service.settings import Settings


@dataclass(frozen=True, kw_only=True)
class SlowPipeline(NullPipeline):
    start_s: float
    each_s: float

    def run(self, views: Sequence[Array]) -> list[Row]:
        time.sleep(self.start_s + self.each_s * len(views))
        return super().run(views)

    def warm_up(self, max_batch_size: int) -> None:
        """It is as slow as it will ever be."""


def slow_pipelines(start_s: float, each_s: float, settings: Settings) -> dict[str, Pipeline]:
    return {
        name: SlowPipeline(**vars(pipeline), start_s=start_s, each_s=each_s)
        for name, pipeline in null_pipelines(settings).items()
    }


def main() -> None:
    start_s, each_s = map(float, sys.argv[1:])
    run_server(Settings(decode_workers=1, device="cpu"), partial(slow_pipelines, start_s, each_s))


if __name__ == "__main__":
    from benchmarks import slow_server  # by its name: the engine's process, which calls it, has another main script

    slow_server.main()
