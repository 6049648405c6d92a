"""Block sizes of the channels-last kernel for tensor cores, and which of them it begins with."""

from functools import lru_cache
from typing import NamedTuple

from kernels.launch import Config

INPUTS = 16  # columns of the map in a product: the depth of one instruction of the tensor cores


class Block(NamedTuple):
    """Block sizes. instructions: of warps, for one channel of 16 x 16 positions and one kernel row, counted in what the
    compiler makes of the loop for sm_90."""

    rows: int
    outputs: int
    channels: int
    steps: int
    warps: int
    instructions: float

    def config(self) -> Config:
        sizes = {"ROWS": self.rows, "OUTPUTS": self.outputs, "CHANNELS": self.channels, "STEPS": self.steps}
        return {**sizes, "num_warps": self.warps, "num_stages": 1}


# Two channels a warp are turned by the hardware (stmatrix), more of them mostly by arithmetic. The tallest spills
# registers, so it has to be measured to come first; what else counts most, only a device can tell.
BLOCKS = (
    Block(rows=64, outputs=16, channels=16, steps=1, warps=8, instructions=18),
    Block(rows=64, outputs=32, channels=16, steps=1, warps=16, instructions=18),
    Block(rows=128, outputs=16, channels=16, steps=1, warps=16, instructions=30),
    Block(rows=32, outputs=16, channels=32, steps=2, warps=16, instructions=12.5),
    Block(rows=16, outputs=32, channels=32, steps=2, warps=16, instructions=12.5),
    Block(rows=16, outputs=16, channels=32, steps=1, warps=16, instructions=21.5),
    Block(rows=16, outputs=16, channels=16, steps=1, warps=4, instructions=26),
)
BAND = 85  # instructions that could be issued while a band of 16 x 16 (512 bytes) comes from the second cache: 5.5 TB/s


@lru_cache(maxsize=1024)
def channels_last_configs(n: int, channels: int, height: int, width: int) -> tuple[Config, ...]:
    """Block sizes worth trying, the default first: the fewest instructions and bands, blocks of nothing included."""

    def cost(block: Block) -> float:
        positions = covered(n * height, block.rows) * covered(width, block.outputs)
        return positions * covered(channels, block.channels) * (block.instructions + BAND * 16 / block.rows)

    fitting = [block for block in BLOCKS if block.outputs <= covered(width, INPUTS)]
    return tuple(block.config() for block in sorted(fitting, key=cost))


def covered(size: int, block: int) -> int:
    """What whole blocks cover."""
    return -(-size // block) * block
