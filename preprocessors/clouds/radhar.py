"""Radar recordings as text, as `rostopic echo` prints them and RadHAR (Singh et al., 2019) publishes them."""

import re

import numpy as np
from numpy.typing import NDArray

from preprocessors.clouds.cloud import Cloud, check_points, damaged

WINDOW = 60  # frames, thirty a second: what a model that was trained on RadHAR sees at a time
NAMES = ("point_id", "x", "y", "z", "range", "velocity", "doppler_bin", "bearing", "intensity")
OPENING = re.compile(rb"header:[ \t]*\r?\n[ \t]+seq:")
POINT = re.compile(rb"^" + rb"\s+".join(b"%s: (\\S+)" % name.encode() for name in NAMES) + rb"\s", re.MULTILINE)


def read_radhar(payload: bytes, max_points: int) -> Cloud:
    """Every value of a point, and its time: 0 to 1 within a window, or within the file where that is longer."""
    columns, frames = radar_points(payload, max_points)
    span = max(WINDOW, frames[-1] + 1 if len(frames) else 0)
    return Cloud.of_columns({**columns, "time": frames / span})


def radar_points(payload: bytes, max_points: int) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.int64]]:
    """(N,) columns by their names, and the number of the frame that each point is of, counted from 0."""
    declared = payload.count(b"point_id:")
    check_points(declared, max_points)
    rows = POINT.findall(payload + b"\n")
    if len(rows) != declared:
        raise damaged(f"{declared - len(rows)} of its {declared} points lack one of {', '.join(NAMES)}")
    values = np.array(rows, np.bytes_).reshape(-1, len(NAMES)).astype(np.float64)
    # The points of a frame are numbered upwards, and those of the next anew
    frames = np.cumsum(np.diff(values[:, 0], prepend=-1) <= 0, dtype=np.int64)
    return dict(zip(NAMES[1:], values.T[1:], strict=True)), frames
