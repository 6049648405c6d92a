"""How long a call takes, by the clock that suits the device."""

import math
import statistics
import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from kernels.timing import device_ms

CACHES = 4  # so many times the cache is read to be rid of what lies in it
Run = Callable[[], Tensor]


class Time(NamedTuple):
    """ms: that it takes. cpu_ms: of all threads of this process, which other programs disturb less; NaN on a GPU."""

    ms: float
    cpu_ms: float = math.nan


Clock = Callable[[Run], Time]


def on_host(run: Run) -> Time:
    started, used = time.perf_counter(), time.process_time()
    run()
    return Time(1e3 * (time.perf_counter() - started), 1e3 * (time.process_time() - used))


def of_kernels(run: Run) -> Time:
    """What a GPU is busy for, its cache cold: a small map repeated would never leave it, and beat the memory."""
    forget_maps()
    return Time(device_ms(run))


def of_launches(run: Run) -> Time:
    """From the first launch to the last result on a GPU, the gaps between launches included; its cache cold."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    forget_maps()
    torch.cuda.synchronize()
    start.record()
    run()
    end.record()
    end.synchronize()
    return Time(start.elapsed_time(end))


def kernel_clock(device: str) -> Clock:
    return of_kernels if device == "cuda" else on_host


def network_clock(device: str) -> Clock:
    return of_launches if device == "cuda" else on_host


def medians(times: list[Time]) -> Time:
    return Time(*map(statistics.median, zip(*times, strict=True)))


def forget_maps() -> None:
    """By reading, for what were written would have to leave the cache while the next call runs."""
    _filler().sum()


@lru_cache(maxsize=1)
def _filler() -> Tensor:
    size = torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size
    return torch.ones(CACHES * size // 4, device="cuda")
