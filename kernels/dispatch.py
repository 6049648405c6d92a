"""Which implementation convolves: a table, read from the top; the first row that fits a problem names its backend.

The rows of the CPU were measured (benchmarks/results). Those of CUDA follow from instruction counts and the roofline;
in inference there they are only the default, and every row that fits names a candidate, of which tuning chooses by
measuring on the device itself (`kernels.measured_backend`).
"""

import importlib.util
import os
import shutil
import sysconfig
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from kernels.backends import BACKENDS
from kernels.layout import memory_format

# Of oneDNN's depthwise kernel for contiguous maps: what the registers of the processor hold
LARGEST_CONTIGUOUS_KERNEL = 9 if torch.backends.cpu.get_cpu_capability() == "AVX2" else 13
LARGEST_PLANE = 144  # positions; beyond, the dense matrix does more work than the kernel's taps
LARGEST_KERNEL = 31
CHANNELS_LAST = torch.channels_last
HALVES = (torch.float16, torch.bfloat16)
FLOATS = (torch.float32, *HALVES)
KERNELS = range(3, LARGEST_KERNEL + 1, 2)
LARGE_KERNELS = range(7, LARGEST_KERNEL + 1, 2)
MEASURED_DEVICES = ("cuda",)  # where tuning compares backends


class Problem(NamedTuple):
    """What the choice depends on. dtype: None where map and kernel disagree. trains: the kernel needs a gradient."""

    device: str
    dtype: torch.dtype | None
    layout: torch.memory_format
    size: int
    dilation: int
    positions: int
    biased: bool
    trains: bool


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A row of the table; what is None or left out holds for every problem."""

    backend: str
    device: str | None = None
    dtypes: Collection[torch.dtype] | None = None
    layout: torch.memory_format | None = None
    sizes: Collection[int] | None = None
    dilation: int | None = None
    positions: Collection[int] | None = None
    biased: bool | None = None
    trains: bool | None = None

    def fits(self, problem: Problem) -> bool:
        exact = (
            (self.device, problem.device),
            (self.layout, problem.layout),
            (self.dilation, problem.dilation),
            (self.biased, problem.biased),
            (self.trains, problem.trains),
        )
        among = ((self.dtypes, problem.dtype), (self.sizes, problem.size), (self.positions, problem.positions))
        return all(wanted is None or wanted == found for wanted, found in exact) and all(
            wanted is None or found in wanted for wanted, found in among
        )


SMALL_PLANES = range(1, LARGEST_PLANE + 1)

RULES = (
    # Training on small maps: both gradients as matrix products, where the library has slow or no code for them.
    Rule(backend="plane", device="cpu", trains=True, biased=False, positions=SMALL_PLANES),
    # oneDNN falls from its depthwise kernel to a GEMM per channel, 10 to 20 times slower, where a contiguous map meets
    # a larger kernel; the channels-last path has no such cliff.
    Rule(backend="library, channels last", device="cpu", sizes=range(LARGEST_CONTIGUOUS_KERNEL + 1, 1 << 16)),
    Rule(backend="library", device="cpu"),
    # 7 x 7 maps: one dense matrix has 0.3 of the 13 x 13 kernel's multiplications, and runs on tensor cores.
    Rule(backend="dense", device="cuda", dtypes=HALVES, sizes=LARGE_KERNELS, dilation=1, positions=range(1, 65)),
    # Multiplications on CUDA cores grow with the square of the size, bands to read for tensor cores with the size:
    # estimated to be even at 7 x 7 on 28 x 28 maps, and a factor of two apart at 13 x 13.
    Rule(backend="channels_last", device="cuda", dtypes=HALVES, layout=CHANNELS_LAST, sizes=LARGE_KERNELS, dilation=1),
    Rule(backend="sliding", device="cuda", dtypes=FLOATS, layout=CHANNELS_LAST, sizes=KERNELS, dilation=1),
    Rule(backend="toeplitz", device="cuda", dtypes=HALVES, sizes=LARGE_KERNELS, dilation=1),
    Rule(backend="sliding", device="cuda", dtypes=FLOATS, sizes=LARGE_KERNELS, dilation=1),
    Rule(backend="library"),
)


_forced: ContextVar[str | None] = ContextVar("forced", default=None)


def choose(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> str:
    """The backend of `RULES` for these tensors, or of those that fit the fastest, where that was measured; within
    `forced_backend`, that one."""
    forced = _forced.get()
    if forced is not None:
        return forced
    # Written for speed, a few microseconds on the CPU: strings of devices and memory formats are slow to ask for.
    _, _, height, width = x.shape
    device = "cpu" if x.is_cpu else x.device.type
    dtype = x.dtype if x.dtype is weight.dtype else None
    layout = torch.contiguous_format if x.is_cpu else memory_format(x)  # on a CPU no row asks
    differentiates = torch.is_grad_enabled()
    trains = differentiates and weight.requires_grad
    size, positions, biased = weight.shape[-1], height * width, bias is not None
    names = backends_for(Problem(device, dtype, layout, size, dilation, positions, biased, trains))
    if len(names) == 1 or differentiates or device not in MEASURED_DEVICES or not triton_runs():
        return names[0]
    from kernels.measured_backend import measured_backend

    return measured_backend(names, x, weight, bias)


@lru_cache(maxsize=4096)
def backends_for(problem: Problem) -> tuple[str, ...]:
    """Those of the rows that fit: the table's choice first."""
    fitting = dict.fromkeys(rule.backend for rule in RULES if rule.fits(problem))
    return tuple(name for name in fitting if triton_runs() or not BACKENDS[name].triton)


@lru_cache(maxsize=1)
def triton_runs() -> bool:
    """Triton is installed, and so are the C compiler and Python's headers with which it builds its launchers.

    Warns, once, where one of the latter is missing; the library convolves then.
    """
    if importlib.util.find_spec("triton") is None:
        return False
    missing = [name for name, found in (("a C compiler", _compiler()), ("Python.h", _headers())) if not found]
    if missing:
        warnings.warn(
            f"Triton's kernels stay unused, since {' and '.join(missing)} cannot be found: install gcc and python3-dev",
            stacklevel=2,
        )
    return not missing


def _compiler() -> str | None:
    return os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")  # where Triton looks


def _headers() -> bool:
    scheme = sysconfig.get_default_scheme()
    paths = sysconfig.get_paths("posix_prefix" if scheme == "posix_local" else scheme)  # Debian's own, as in Triton
    return Path(paths["include"], "Python.h").exists()


@contextmanager
def forced_backend(name: str) -> Iterator[None]:
    """Convolve by this backend whatever the tensors, for tests and benchmarks; ValueError for an unknown name."""
    if name not in BACKENDS:
        raise ValueError(f"backend {name!r} is unknown, expected one of {', '.join(BACKENDS)}")
    token = _forced.set(name)
    try:
        yield
    finally:
        _forced.reset(token)
