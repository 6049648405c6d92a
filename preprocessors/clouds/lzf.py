"""LZF decompression (Lehmann, LibLZF), which binary_compressed PCD files are packed with.

The stream is a sequence of chunks. A control byte below 32 announces that many literal bytes and one more; any other
holds, in three and five bits, the length and the distance of bytes to repeat from the output.
"""

from preprocessors.clouds.cloud import damaged

MAX_LITERALS = 32
LONG = 7  # this length is continued in the next byte
SHORTEST = 2  # what is added to a stored length


def decompressed(data: bytes, size: int) -> bytes:
    """`size` bytes, or a refusal. Stops at the first chunk that makes more."""
    output = bytearray()
    try:
        end = _decompress(data, output, size)
    except IndexError:
        end = -1
    if end != len(data) or len(output) != size:
        raise damaged(f"its compressed bytes do not make the {size} that it declares")
    return bytes(output)


def _decompress(data: bytes, output: bytearray, size: int) -> int:
    """Where in `data` it stopped."""
    position = 0
    while position < len(data) and len(output) <= size:
        control = data[position]
        position += 1
        if control < MAX_LITERALS:
            output += data[position : position + control + 1]
            position += control + 1
            continue
        length = control >> 5
        if length == LONG:
            length += data[position]
            position += 1
        distance = ((control & 31) << 8 | data[position]) + 1
        position += 1
        _repeat(output, len(output) - distance, length + SHORTEST)
    return position


def _repeat(output: bytearray, start: int, length: int) -> None:
    """Append `length` bytes from `start` on; the bytes so appended are themselves repeated where it is too near."""
    if start < 0:
        raise damaged("its compressed bytes refer to what is before the first")
    while length > 0:
        piece = output[start : start + length]
        output += piece
        length -= len(piece)
