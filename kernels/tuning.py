"""Launch configurations: a table of measured ones, a default for the rest, and measuring at warm-up only.

with tuned(seconds=60):      # while a model warms up: cases that no table knows are measured, and kept on disk
    model(batch)
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
import triton

from kernels.launch import Config
from kernels.timing import device_ms
from kernels.tuned import TUNED
from kernels.tuning_cache import Table, TuningCache, cache_folder

Measure = Callable[[Callable[[], object]], float]  # a call -> milliseconds
Clock = Callable[[], float]

WARM_UP, REPEATS = 3, 9


@dataclass(frozen=True)
class Session:
    """Until `end` on the clock, unknown cases are measured; what the cache knows is used all along."""

    measure: Measure
    end: float
    clock: Clock
    cache: TuningCache
    recalled: set[str] = field(default_factory=set)

    def recall(self, device: str) -> None:
        if device not in self.recalled:
            self.recalled.add(device)
            configurations(device).update(self.cache.load(device))

    def learn(self, device: str, case: str, candidates: Sequence[Config], run: Callable[[Config], object]) -> None:
        if self.clock() < self.end:
            times = [self.measure(lambda config=config: run(config)) for config in candidates]  # type: ignore[misc]
            if min(times) == float("inf"):
                return  # nothing to keep: the default shows what is wrong, and the next start tries again
            found = candidates[times.index(min(times))]
            configurations(device)[case] = found
            self.cache.add(device, case, found)


_session: ContextVar[Session | None] = ContextVar("session", default=None)


def launch_config(
    case: tuple[object, ...], device: torch.device, candidates: Sequence[Config], run: Callable[[Config], object]
) -> Config:
    """The configuration for this case on this device. Outside `tuned()` it is looked up, and nothing is measured.

    case: the kernel's name and what its speed depends on. candidates: the default first. run: launches with one.
    """
    key, name = device_name(device), " ".join(map(str, case))
    session = _session.get()
    if session is not None:
        session.recall(key)
        if name not in configurations(key):
            session.learn(key, name, candidates, run)
    found = configurations(key).get(name, candidates[0])
    # A cache may be older than the kernel, and name block sizes that it has no more
    return found if any(found.keys() == known.keys() for known in candidates) else candidates[0]


@contextmanager
def tuned(
    measure: Measure | None = None,
    seconds: float = float("inf"),
    folder: Path | None = None,
    clock: Clock = time.monotonic,
) -> Iterator[None]:
    """Measure unknown cases within this context, by the median time on the device; after so many seconds no more.

    What is left then runs with its default, and is measured the next time. folder: where the cache lies; see
    `cache_folder` for the default. Cases that are known, here or from there, stay so after the context.
    """
    session = Session(measure or median_ms, clock() + seconds, clock, TuningCache(folder or cache_folder()))
    token = _session.set(session)
    try:
        yield
    finally:
        _session.reset(token)


def median_ms(call: Callable[[], object], measure: Measure = device_ms) -> float:
    """Median time of a call; infinite for a configuration that the compiler or the device refuses, or that needs more
    memory than there is."""
    try:
        times = [measure(call) for _ in range(WARM_UP + REPEATS)]
    except torch.AcceleratorError:  # of the device, whatever the configuration
        raise
    except (triton.runtime.errors.TritonError, RuntimeError):  # the compiler's passes fail with plain RuntimeErrors
        return float("inf")
    return statistics.median(times[WARM_UP:])


@lru_cache
def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@lru_cache
def configurations(device: str) -> Table:
    """What is known about a device: the table of this package, then what was measured on this machine."""
    return {**TUNED.get(device, {}), **TuningCache(cache_folder()).load(device)}
