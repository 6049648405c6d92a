"""Models made ready: everything that only a first batch costs is paid before a request comes."""

from collections.abc import Callable, Mapping, Sequence

from models.postprocessors.base import Row
from preprocessors.base import Array
from service.engine.buckets import BucketRunner
from service.engine.device import Device
from service.pipeline import Pipeline
from service.settings import Settings

Run = Callable[[Sequence[Array]], list[Row]]


def warmed_up(pipelines: Mapping[str, Pipeline], settings: Settings, device: Device) -> dict[str, Run]:
    """How the batches of each model are run on this device, which nobody waits for yet: all of them share the time for
    measuring kernels. Raises what the models raise, and OutOfMemory.
    """
    with device.tuning(settings.tuning_s, settings.cache_folder):
        if not device.captures:
            for pipeline in pipelines.values():
                pipeline.warm_up_at(1)  # the largest batch is run when the server learns its cost
        return {name: run_on(device, pipeline, settings) for name, pipeline in pipelines.items()}


def run_on(device: Device, pipeline: Pipeline, settings: Settings) -> Run:
    """Of a model that is warmed up; a device that captures its work does that here. Raises as `warmed_up` does.

    By itself it measures no kernels, which would hold up the requests of other models: those of shapes that were not
    met before have their defaults until the next start.
    """
    if not device.captures:
        return pipeline.run
    runner = BucketRunner(pipeline, device)
    runner.warm_up(settings.max_batch_size)
    return runner
