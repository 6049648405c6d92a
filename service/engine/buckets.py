"""Batches padded to a few sizes, whose work a device captured at warm-up and only replays.

A small network is launched slower than it is computed: hundreds of kernels, at a few microseconds each.
"""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.postprocessors.base import Row
from preprocessors.base import Array
from service.engine.base import OutOfMemory
from service.engine.device import Captured, Device, Outputs
from service.engine.faults import translated
from service.pipeline import Pipeline

HEADROOM = 2  # a batch may run captured and, of another shape, beside that memory; so what it takes must be free twice
MAP_AXES = 4

log = logging.getLogger(__name__)


class BucketRunner:
    """Runs the batches of one model. Belongs to the thread that warms it up.

    The rows behind a batch are what earlier ones left there: samples do not see each other, and those are not looked
    at. Only maps are captured. Of points and stations the network's embedding makes maps of which the numbers decide
    how many, and what other shapes than the usual one come run as they are.
    """

    def __init__(self, pipeline: Pipeline, device: Device) -> None:
        self._pipeline, self._predictor, self._device = pipeline, pipeline.predictor, device
        self._captured: dict[int, Captured] = {}
        self._input = torch.empty(0)
        self._transforms_there = True
        self.largest = 1

    @property
    def buckets(self) -> list[int]:
        """Sizes that are replayed, ascending."""
        return sorted(self._captured)

    @torch.inference_mode()
    def warm_up(self, max_batch_size: int) -> None:
        """Find the largest batch that fits, and capture it and the smaller ones. Raises OutOfMemory where none fits."""
        blank = self._pipeline.preprocessor.blank()
        self._transforms_there = self._transforms_alike(blank)
        fitting = self._fitting(bucket_sizes(max_batch_size), blank)
        self.largest = fitting[-1]
        if self.largest < max_batch_size:
            log.warning("%s: batches larger than %d do not fit in device memory", self._pipeline.name, self.largest)
        self._device.release()
        x = self._prepared([blank] * self.largest)
        if x.ndim == MAP_AXES:
            self._capture(x, fitting)

    @torch.inference_mode()
    def __call__(self, views: Sequence[Array]) -> list[Row]:
        """See Pipeline.run. More views than fit at a time are run one part after the other."""
        parts = (views[first : first + self.largest] for first in range(0, len(views), self.largest))
        return [row for part in parts for row in self._predictor.rows(self._device.download(self._outputs(part)))]

    def _outputs(self, views: Sequence[Array]) -> Outputs:
        x = self._prepared(views)
        size = next((bucket for bucket in self.buckets if bucket >= len(x)), None)
        if size is None or x.shape[1:] != self._input.shape[1:] or x.dtype is not self._input.dtype:
            return self._predictor.forward(x)
        self._input[: len(x)].copy_(x)
        self._captured[size].replay()
        return {name: value[: len(x)] for name, value in self._captured[size].outputs.items()}

    def _prepared(self, views: Sequence[Array]) -> Tensor:
        """The model's float32 input, on the device."""
        batch = self._pipeline.preprocessor.collate(views, self._device.empty)
        if self._transforms_there:
            return self._predictor.transform(self._device.upload(batch))
        return self._device.upload(self._predictor.transform(batch))

    def _transforms_alike(self, blank: Array) -> bool:
        """Whether rasters are normalised to the same bits there as here, tried on every level that a pixel can have.

        What is no raster is transformed there in any case: its rounding hides in that of the model.
        """
        if blank.dtype != np.uint8:
            return True
        probe = torch.from_numpy(np.resize(np.arange(256, dtype=np.uint8), blank.shape)[None])
        here = self._predictor.transform(probe)
        there = self._device.download({"x": self._predictor.transform(self._device.upload(probe))})["x"]
        if not torch.equal(here, there):
            log.warning("%s: the device rounds differently; rasters are normalised on the CPU", self._pipeline.name)
            return False
        return True

    def _fitting(self, sizes: Sequence[int], blank: Array) -> list[int]:
        """Of ascending sizes those that fit, run once to choose kernels and once to be measured."""
        fitting: list[int] = []
        needed = 0.0
        for size in sizes:
            if fitting and HEADROOM * needed * size / fitting[-1] > self._device.free_bytes():
                break
            try:
                self._outputs([blank] * size)
                needed = self._device.peak_bytes(lambda size=size: self._outputs([blank] * size))  # type: ignore[misc]
            except Exception as error:
                if not fitting or not isinstance(translated(error), OutOfMemory):
                    raise
                break
            fitting.append(size)
        return fitting

    def _capture(self, x: Tensor, sizes: Sequence[int]) -> None:
        """The largest first: the others find memory that is taken already."""
        self._input = x.clone()
        try:
            for size in reversed(sizes):
                part = self._input[:size]
                self._captured[size] = self._device.capture(lambda part=part: self._predictor.forward(part))  # type: ignore[misc]
        except RuntimeError as error:
            log.warning("%s: no CUDA graph, so small batches are slower: %s", self._pipeline.name, error)
            self._captured.clear()
            self._device.release()


def bucket_sizes(most: int) -> list[int]:
    """1, 2, 4, ..., and the largest batch itself: none is padded to twice its size."""
    return sorted({*(1 << power for power in range(most.bit_length()) if 1 << power <= most), most})
