"""How maps are cut into blocks."""

from functools import lru_cache

CHANNEL_BLOCKS = (64, 32, 16)


def ceil_div(length: int, block: int) -> int:
    """Blocks that cover a length. Triton's own cdiv is made for kernels, and costs microseconds outside of them."""
    return -(-length // block)


@lru_cache(maxsize=1024)
def channel_blocks(channels: int) -> tuple[int, ...]:
    """Block sizes, the one that covers the channels with the least waste first, the larger of equals."""
    return tuple(sorted(CHANNEL_BLOCKS, key=lambda block: ceil_div(channels, block) * block))


def even_columns(width: int, most: int) -> int:
    """Width of the fewest equal tiles of up to `most` columns."""
    return ceil_div(width, ceil_div(width, most))
