"""What each model has done since it was loaded, as Triton's statistics extension counts it."""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from service.engine.base import ModelInfo


@dataclass
class Duration:
    """How often, and how long in all."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds

    def told(self) -> dict[str, int]:
        return {"count": self.count, "ns": round(1e9 * self.seconds)}


@dataclass
class ModelStatistics:
    """success, fail, queue, decode: by input. batches: forward passes by their size."""

    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    decode: Duration = field(default_factory=Duration)
    batches: defaultdict[int, Duration] = field(default_factory=lambda: defaultdict(Duration))
    last: float = 0.0

    def told(self) -> dict[str, Any]:
        """compute_output, turning rows into tensors, is not measured by itself: it is part of what is measured."""
        infer = Duration(
            sum(size * batch.count for size, batch in self.batches.items()),
            sum(size * batch.seconds for size, batch in self.batches.items()),
        )
        none = Duration().told()
        return {
            "last_inference": round(1e3 * self.last),
            "inference_count": infer.count,
            "execution_count": sum(batch.count for batch in self.batches.values()),
            "inference_stats": {
                "success": self.success.told(),
                "fail": self.fail.told(),
                "queue": self.queue.told(),
                "compute_input": self.decode.told(),
                "compute_infer": infer.told(),
                "compute_output": none,
            },
            "batch_stats": [
                {"batch_size": size, "compute_input": none, "compute_infer": batch.told(), "compute_output": none}
                for size, batch in sorted(self.batches.items())
            ],
        }


class Statistics:
    """By the keys of models; those that are gone are forgotten."""

    def __init__(self) -> None:
        self._models: defaultdict[str, ModelStatistics] = defaultdict(ModelStatistics)

    def answered(self, key: str, seconds: float, decode_s: float, queue_s: float) -> None:
        """An input was perceived."""
        of = self._models[key]
        of.success.add(seconds)
        of.decode.add(decode_s)
        of.queue.add(queue_s)
        of.last = time.time()

    def failed(self, key: str, seconds: float) -> None:
        """An input was not."""
        self._models[key].fail.add(seconds)

    def batch(self, key: str, size: int, seconds: float) -> None:
        self._models[key].batches[size].add(seconds)

    def forget(self, key: str) -> None:
        self._models.pop(key, None)

    def told(self, model: ModelInfo) -> dict[str, Any]:
        """In the words of the extension."""
        about = self._models.get(model.key, ModelStatistics()).told()
        return {"name": model.name, "version": model.version, **about}
