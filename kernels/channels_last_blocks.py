"""Block sizes of the channels-last kernel for tensor cores, and which of them it begins with."""

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


# Two channels a warp are turned by the hardware (stmatrix), four by arithmetic. Fewer sums a thread make room for more
# warps, smaller blocks for more programs: what counts most, only a device can tell.
BLOCKS = (
    Block(rows=16, outputs=32, channels=32, steps=2, warps=16, instructions=12.5),
    Block(rows=32, outputs=16, channels=32, steps=2, warps=16, instructions=12.5),
    Block(rows=16, outputs=32, channels=16, steps=1, warps=4, instructions=15),
    Block(rows=32, outputs=16, channels=16, steps=1, warps=4, instructions=19),
    Block(rows=16, outputs=16, channels=32, steps=1, warps=16, instructions=21.5),
    Block(rows=16, outputs=16, channels=32, steps=1, warps=8, instructions=23),
    Block(rows=16, outputs=16, channels=16, steps=1, warps=4, instructions=26),
)


def channels_last_configs(n: int, channels: int, height: int, width: int, with_sums: bool = False) -> list[Config]:
    """Block sizes worth trying, the default first: the one of the fewest instructions, blocks of nothing included."""

    def instructions(block: Block) -> float:
        rows = n * covered(height, block.rows) if with_sums else covered(n * height, block.rows)
        return rows * covered(width, block.outputs) * covered(channels, block.channels) * block.instructions

    fitting = [block for block in BLOCKS if block.outputs <= covered(width, INPUTS)]
    return [block.config() for block in sorted(fitting, key=instructions)]


def covered(size: int, block: int) -> int:
    """What whole blocks cover."""
    return -(-size // block) * block
