"""Launch configurations: a table of measured ones, a default for the rest, and measuring at warm-up only.

with tuned():      # while a model warms up: cases that no table knows are measured, and kept on disk
    model(batch)
"""

import json
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

import torch
import triton
from torch import Tensor

from kernels.tuned import TUNED

Config = dict[str, int]  # block sizes, num_warps, num_stages
Table = dict[str, Config]  # case -> configuration
Measure = Callable[[Callable[[], object]], float]  # a call -> milliseconds

WARM_UP, REPEATS = 3, 9

_measure: ContextVar[Measure | None] = ContextVar("measure", default=None)


def launch_config(
    case: tuple[object, ...], device: torch.device, candidates: Sequence[Config], run: Callable[[Config], object]
) -> Config:
    """The configuration for this case on this device. Outside `tuned()` it is looked up, and nothing is measured.

    case: the kernel's name and what its speed depends on. candidates: the default first. run: launches with one.
    """
    table, name = configurations(device_name(device)), " ".join(map(str, case))
    measure = _measure.get()
    if name not in table and measure is not None:
        times = [measure(lambda config=config: run(config)) for config in candidates]  # type: ignore[misc]
        table[name] = candidates[times.index(min(times))]
        save(device_name(device), table)
    return table.get(name, candidates[0])


@contextmanager
def tuned(measure: Measure | None = None) -> Iterator[None]:
    """Measure unknown cases within this context. measure: by default the median time on the device."""
    token = _measure.set(measure or device_ms)
    try:
        yield
    finally:
        _measure.reset(token)


def device_ms(call: Callable[[], object]) -> float:
    """Median time of a call on the current CUDA device; infinite for a configuration that the device refuses."""
    times = []
    for _ in range(WARM_UP + REPEATS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        try:
            call()
        except triton.OutOfResources:
            return float("inf")
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times[WARM_UP:])


def on_device_of(x: Tensor) -> AbstractContextManager[object]:
    """Launches go to the current device, which need not be that of their tensors; on a CPU there is no such thing."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


@lru_cache
def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@lru_cache
def configurations(device: str) -> Table:
    """What is known about a device: the table of this package, then what was measured on this machine."""
    return {**TUNED.get(device, {}), **load(device)}


def cache_path(device: str) -> Path:
    """One file per device and Triton release, whose compilers differ; under $XDG_CACHE_HOME or ~/.cache."""
    root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return root / "unireplknet" / f"triton-{triton.__version__}" / f"{device}.json"


def load(device: str) -> Table:
    """The cache is only a saving of time: a file that cannot be read counts as empty."""
    try:
        return dict(json.loads(cache_path(device).read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def save(device: str, table: Table) -> None:
    path = cache_path(device)
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(table, indent=1))
        partial.replace(path)
    except OSError:  # a read-only home tunes again at its next start
        return
