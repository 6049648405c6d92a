"""How much memory an engine takes, of the machine and of its device."""

import resource
import sys
from pathlib import Path

import torch


def memory_in_use() -> dict[str, float]:
    """Bytes. resident: of the process. device_allocated, device_reserved: of tensors, and with what the allocator keeps
    for more; device_used, device_total: by everybody, and all there is; on CUDA only."""
    return {"resident": _resident(), **_device()}


def _resident() -> float:
    if sys.platform == "linux":
        return float(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # the most there was: nearest to it elsewhere


def _device() -> dict[str, float]:
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return {}
    free, total = torch.cuda.mem_get_info()
    return {
        "device_allocated": torch.cuda.memory_allocated(),
        "device_reserved": torch.cuda.memory_reserved(),
        "device_used": total - free,
        "device_total": total,
    }
