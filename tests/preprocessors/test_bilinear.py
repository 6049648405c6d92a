"""OpenCV's bilinear resize, without OpenCV."""

import tracemalloc
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray

from preprocessors.videos.bilinear import resized_part

SIZES = [((48, 64), (30, 40)), ((31, 17), (64, 64)), ((1, 7), (5, 35)), ((720, 405), (398, 224)), ((9, 9), (9, 9))]
OPENCV = [1060683383, 3272855489, 863740230, 173004860, 1271842235]  # crc32 of what cv2.resize 5.0 makes of the noise
Raster = NDArray[np.uint8]


def noise(height: int, width: int) -> Raster:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def interpolated(frame: Raster, size: tuple[int, int]) -> NDArray[np.float64]:
    """Point by point: pixel centres at one half, the border repeated, nothing averaged."""
    grid = []
    for length, wanted in zip(frame.shape, size, strict=False):
        points = ((np.arange(wanted) + 0.5) * length / wanted - 0.5).clip(0, length - 1)
        low = np.floor(points).astype(int)
        grid.append((low, np.minimum(low + 1, length - 1), points - low))
    (top, bottom, y), (left, right, x) = grid
    rows = frame[top] * (1 - y)[:, None, None] + frame[bottom] * y[:, None, None]
    return rows[:, left] * (1 - x)[:, None] + rows[:, right] * x[:, None]


@pytest.mark.parametrize(("source", "size"), SIZES)
def test_it_is_the_half_pixel_rule_to_a_step(source: tuple[int, int], size: tuple[int, int]) -> None:
    frame = noise(*source)
    difference = resized_part(frame, size, (0, 0), size) - interpolated(frame, size)
    assert np.abs(difference).max() <= 1
    assert abs(difference.mean()) < 0.2  # rounded, and not cut, which would be 0.5


@pytest.mark.parametrize(("case", "checksum"), list(zip(SIZES, OPENCV, strict=True)))
def test_values_are_those_of_opencv(case: tuple[tuple[int, int], tuple[int, int]], checksum: int) -> None:
    source, size = case
    assert zlib.crc32(resized_part(noise(*source), size, (0, 0), size).tobytes()) == checksum


@pytest.mark.parametrize(("source", "size"), SIZES)
def test_a_part_is_cut_from_the_whole(source: tuple[int, int], size: tuple[int, int]) -> None:
    frame, (height, width) = noise(*source), (size[0] // 2, size[1] // 3)
    whole = resized_part(frame, size, (0, 0), size)
    part = resized_part(frame, size, (1, 2), (height, width))
    np.testing.assert_array_equal(part, whole[1 : 1 + height, 2 : 2 + width])


def test_a_frame_of_its_own_size_is_itself() -> None:
    frame = noise(20, 30)
    np.testing.assert_array_equal(resized_part(frame, (20, 30), (0, 0), (20, 30)), frame)


def test_only_the_part_takes_memory() -> None:
    frame = noise(2, 1_000_000)
    tracemalloc.start()
    resized_part(frame, (224, 224 * 500_000), (0, 50_000_000), (224, 224))  # of 75 GB
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20
