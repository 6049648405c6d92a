"""Videos that tests make for themselves: every frame shows its own number."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]

BITS = 8
DARK, BRIGHT = 30, 220
UNIT = 1 << 16  # of a display matrix, whose last column has fourteen more bits

# Matrices that turn the stored picture counter-clockwise by so many degrees when it is shown
TURNS = {
    0: (UNIT, 0, 0, 0, UNIT, 0, 0, 0, UNIT << 14),
    90: (0, -UNIT, 0, UNIT, 0, 0, 0, 0, UNIT << 14),
    180: (-UNIT, 0, 0, 0, -UNIT, 0, 0, 0, UNIT << 14),
    270: (0, UNIT, 0, -UNIT, 0, 0, 0, 0, UNIT << 14),
}


@dataclass(frozen=True)
class Encoding:
    """How FFmpeg is asked to write a video; `reads` is the name that the answer gives to the result."""

    muxer: str
    codec: str
    reads: tuple[str, str]
    pixels: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=dict)


HIDDEN = {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"}  # frames that are never shown
QUIET = {"x265-params": "log-level=none"}
ENCODINGS = {
    "mp4": Encoding("mp4", "libx264", ("mp4", "h264"), options={"bf": "3"}),
    "faststart": Encoding("mp4", "libx264", ("mp4", "h264"), container={"movflags": "faststart"}),
    "fragments": Encoding("mp4", "libx264", ("mp4", "h264"), container={"movflags": "frag_keyframe+empty_moov"}),
    "open gop": Encoding("mp4", "libx264", ("mp4", "h264"), options={"bf": "3", "x264-params": "open-gop=1"}),
    "intra refresh": Encoding(
        "mp4", "libx264", ("mp4", "h264"), options={"x264-params": "intra-refresh=1:bframes=0:scenecut=0"}
    ),
    "hevc": Encoding("mp4", "libx265", ("mp4", "hevc"), options=QUIET),
    "mov": Encoding("mov", "libx264", ("mov", "h264"), options={"bf": "3"}),
    "prores": Encoding("mov", "prores_ks", ("mov", "prores"), "yuv422p10le"),
    "mkv": Encoding("matroska", "libx264", ("mkv", "h264"), options={"bf": "3"}),
    "mkv hevc": Encoding("matroska", "libx265", ("mkv", "hevc"), options=QUIET),
    "vp8": Encoding("webm", "libvpx", ("webm", "vp8"), options=HIDDEN),
    "vp9": Encoding("webm", "libvpx-vp9", ("webm", "vp9"), options=HIDDEN),
    "avi": Encoding("avi", "mpeg4", ("avi", "mpeg4"), options={"bf": "2"}),
    "avi h264": Encoding("avi", "libx264", ("avi", "h264"), options={"bf": "3"}),
    "mjpeg": Encoding("avi", "mjpeg", ("avi", "mjpeg"), "yuvj420p"),
    "gif": Encoding("gif", "gif", ("gif", "gif"), "rgb8"),
    "ts": Encoding("mpegts", "libx264", ("ts", "h264"), options={"bf": "3"}),
    "ts mpeg2": Encoding("mpegts", "mpeg2video", ("ts", "mpeg2video"), options={"bf": "2"}),
}


def picture(number: int, width: int = 64, height: int = 48) -> Frame:
    """Its number in the upper half, in binary from the left, lowest bit first; the lower half is dark."""
    frame = np.full((height, width, 3), DARK, np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            frame[: height // 2, bit * width // BITS : (bit + 1) * width // BITS] = BRIGHT
    return frame


def scenery(number: int, width: int, height: int) -> Frame:
    """Blocks of colour that pass from right to left, which nothing in an earlier frame foretells."""
    blocks = np.random.default_rng(0).integers(0, 256, (height // 8, width + 2 * number, 3), dtype=np.uint8)
    return np.ascontiguousarray(blocks.repeat(8, 0).repeat(2, 1)[:, 4 * number : 4 * number + width])


def number_in(frame: Frame) -> int:
    """The number that a frame shows."""
    height, width = frame.shape[:2]
    middles = (np.arange(BITS) * 2 + 1) * width // (2 * BITS)
    return sum(1 << bit for bit, x in enumerate(middles) if frame[height // 4, x].mean() > (DARK + BRIGHT) / 2)


def film(
    kind: str = "mp4",
    frames: int = 100,
    size: tuple[int, int] = (64, 48),
    times: Sequence[int] | None = None,
    rate: int = 25,
    key_every: int = 24,
    draw: Callable[[int, int, int], Frame] = picture,
) -> bytes:
    """An encoded video of `frames` frames, each `1 / rate` seconds or at the `times` given in these units."""
    encoding = ENCODINGS[kind]
    with TemporaryDirectory() as folder:  # "faststart" writes its file, and reads it again
        path = Path(folder) / "film"
        with av.open(path, "w", format=encoding.muxer, container_options=encoding.container) as container:
            stream = container.add_stream(encoding.codec, rate=rate, options=encoding.options)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height = size
            stream.pix_fmt, stream.codec_context.gop_size = encoding.pixels, key_every
            for place in range(frames):
                frame = av.VideoFrame.from_ndarray(draw(place, *size), "rgb24").reformat(format=encoding.pixels)
                frame.pts = place if times is None else times[place]
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path.read_bytes()


def turned(mp4: bytes, degrees: int) -> bytes:
    """The same file, to be shown turned counter-clockwise."""
    start = mp4.index(b"tkhd") + 44  # past its version, flags, dates, numbers, duration, layer and volume
    matrix = struct.pack(">9i", *TURNS[degrees])
    return mp4[:start] + matrix + mp4[start + len(matrix) :]
