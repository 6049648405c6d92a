"""What a device can do at most, for rooflines."""

from dataclasses import dataclass

import torch

HALVES = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Peaks:
    """bytes_per_s: of its memory. half_flops: of dense products of halves on tensor cores. float32_flops: without
    them, for TF32 is no float32."""

    bytes_per_s: float
    half_flops: float
    float32_flops: float

    def flops(self, dtype: torch.dtype) -> float:
        return self.half_flops if dtype in HALVES else self.float32_flops

    def ms(self, moved_bytes: float, flops: float, dtype: torch.dtype) -> float:
        """The longer of the two: of moving so many bytes, and of so many operations."""
        return 1e3 * max(moved_bytes / self.bytes_per_s, flops / self.flops(dtype))


# By the name that torch gives the device. Operations are those of NVIDIA's data sheets, without sparsity
PEAKS = {
    "NVIDIA H100 80GB HBM3": Peaks(bytes_per_s=3.35e12, half_flops=989e12, float32_flops=67e12),  # data sheet
    # Memory as measured on one, 8.6 GB copied in 2.0 ms, bytes read and written; its data sheet says 4.8e12
    "NVIDIA H200": Peaks(bytes_per_s=4.3e12, half_flops=989e12, float32_flops=67e12),
}


def peaks_of(device: str) -> Peaks | None:
    """None for a device that is not known, which a CPU never is."""
    return PEAKS.get(torch.cuda.get_device_name()) if device == "cuda" else None


def share(floor_ms: float | None, ms: float) -> str:
    """How much of the roofline was reached, 1 being all; empty where no roofline is known."""
    return "" if floor_ms is None else f"{floor_ms / ms:.3f}"
