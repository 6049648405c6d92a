"""Time on a CUDA device."""

from collections.abc import Callable

import torch

HEAD_START = 1_000_000  # clock cycles, about half a millisecond


def device_ms(call: Callable[[], object]) -> float:
    """Milliseconds that a call keeps the current device busy: behind work that lasts until its launches have been
    queued, or else it is Python that is timed."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda._sleep(HEAD_START)  # type: ignore[no-untyped-call]
    start.record()
    call()
    end.record()
    end.synchronize()
    elapsed: float = start.elapsed_time(end)
    return elapsed
