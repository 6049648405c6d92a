"""How maps are cut into blocks."""

import triton

CHANNEL_BLOCKS = (64, 32, 16)


def channel_blocks(channels: int) -> list[int]:
    """Block sizes, the one that covers the channels with the least waste first, the larger of equals."""
    return sorted(CHANNEL_BLOCKS, key=lambda block: triton.cdiv(channels, block) * block)


def even_columns(width: int, most: int) -> int:
    """Width of the fewest equal tiles of up to `most` columns."""
    columns: int = triton.cdiv(width, triton.cdiv(width, most))
    return columns
