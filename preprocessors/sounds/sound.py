"""What every decoder of sound hands over, and what none may."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessors.base import UndecodableInput

LOWEST_RATE, HIGHEST_RATE = 4_000, 384_000  # Hz; what converters run at, from toys to studios
MOST_CHANNELS = 8  # 7.1
BLOCK_FRAMES = 65_536

Block = NDArray[np.float32]


@dataclass(frozen=True)
class Sound:
    """An opened sound. `blocks` decodes it piece by piece, each (frames, channels), full scale at 1.

    A block is valid until the next is asked for. sample_rate: of the file, in Hz. frames: as its header declares them,
    None where it declares nothing to rely on. Raises UndecodableInput for what no recording has.
    """

    format: str
    sample_rate: int
    channels: int
    frames: int | None
    blocks: Iterator[Block]

    def __post_init__(self) -> None:
        if not LOWEST_RATE <= self.sample_rate <= HIGHEST_RATE:
            detail = (
                f"a sample rate of {self.sample_rate} Hz, {LOWEST_RATE} to {HIGHEST_RATE} are read: resample the "
                "recording, or correct the header"
            )
            raise UndecodableInput("undecodable_input", detail)
        if not 1 <= self.channels <= MOST_CHANNELS:
            detail = f"{self.channels} channels, 1 to {MOST_CHANNELS} are read: mix them down and send it again"
            raise UndecodableInput("undecodable_input", detail, MOST_CHANNELS, self.channels)
