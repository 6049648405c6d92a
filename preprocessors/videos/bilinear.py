"""OpenCV's bilinear resize of a picture, or a part of it: without antialiasing, as models of video expect."""

import numpy as np
from numpy.typing import NDArray

ONE = 2048  # as a weight: OpenCV's have eleven bits
CHANNELS = 3

Raster = NDArray[np.uint8]
Taps = tuple[slice, NDArray[np.intp], NDArray[np.intp], NDArray[np.int32]]


def resized_part(frame: Raster, size: tuple[int, int], start: tuple[int, int], part: tuple[int, int]) -> Raster:
    """Rows and columns `start` to `start + part` of the frame resized to `size`; all pairs are (height, width).

    (height, width, 3) uint8 -> (*part, 3) uint8, the very values of cv2.resize(..., INTER_LINEAR). Takes memory for
    the part alone, whatever the sizes.
    """
    rows, top, bottom, down = _taps(frame.shape[0], size[0], start[0], part[0])
    columns, left, right, across = _taps(frame.shape[1], size[1], start[1], part[1])
    left, right, across = _by_channel(left), _by_channel(right), np.repeat(across, CHANNELS)
    frame = frame[rows, columns]
    flat = frame.reshape(len(frame), -1)  # numpy is slow where the last axis is short
    upper, lower = ((row[:, left] * (ONE - across) + row[:, right] * across) >> 4 for row in (flat[top], flat[bottom]))
    down = down[:, None]
    mixed = (upper * (ONE - down) >> 16) + (lower * down >> 16)
    return ((mixed + 2) >> 2).astype(np.uint8).reshape(*part, CHANNELS)


def _taps(source: int, target: int, start: int, count: int) -> Taps:
    """The stretch of the source that is needed; in it, two neighbours of each target point; the second's weight."""
    points = ((np.arange(start, start + count) + 0.5) * (source / target) - 0.5).astype(np.float32)
    first = np.floor(points)
    weights = np.rint((points - first) * ONE).astype(np.int32)
    low = first.astype(np.intp)
    low, high = low.clip(0, source - 1), (low + 1).clip(0, source - 1)
    return slice(low[0], high[-1] + 1), low - low[0], high - low[0], weights


def _by_channel(columns: NDArray[np.intp]) -> NDArray[np.intp]:
    return (columns[:, None] * CHANNELS + np.arange(CHANNELS)).ravel()
