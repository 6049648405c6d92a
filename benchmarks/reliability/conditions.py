"""What all proofs are told: how long to go on, and where real files are."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Conditions:
    """scale: of every length and count but the soak's. soak_s: seconds of it. data: a folder of real files by modality
    (image, audio, video, pointcloud), used beside those that are made.
    """

    scale: float = 1.0
    soak_s: float = 600.0
    data: Path | None = None

    def seconds(self, usual: float) -> float:
        return usual * self.scale

    def count(self, usual: int) -> int:
        return max(1, round(usual * self.scale))
