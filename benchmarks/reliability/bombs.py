"""Small files that claim, or unfold to, more than anybody should read."""

import gzip
import struct
import zipfile
import zlib
from collections.abc import Callable

import numpy as np

from benchmarks.reliability.media import AUDIO, CLOUD, IMAGE, VIDEO, WEATHER
from tests.cloud_headers import npy_header, pcd_header, ply_header, zipped
from tests.recordings import sound_file
from tests.videos import film

SIDE = 60_000
HOUR_S, RATE = 3600, 8000
BILLION = 1_000_000_000


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """rows: of pixels, each with its filter's number, before they are compressed."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (header, b"IDAT" + zlib.compress(rows, 9), b"IEND")
    framed = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def black_png(side: int) -> bytes:
    """Within the limit of pixels, and a thousandth of what it unfolds to."""
    return png(side, side, bytes(side * (1 + 3 * side)))


def bmp(width: int, height: int) -> bytes:
    return b"BM" + bytes(8) + struct.pack("<IIiiHH", 54, 40, width, height, 1, 24) + bytes(24)


def gif(width: int, height: int) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x01\x00\x00;"


def silence() -> bytes:
    """A FLAC of an hour."""
    return sound_file(np.zeros(HOUR_S * RATE, np.float32), RATE, "FLAC")


def endless_wav() -> bytes:
    """Claims 4 GB of samples."""
    form = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    return b"RIFF\xff\xff\xff\xff" + form + b"data\xff\xff\xff\xff" + bytes(9000)


def huge_film() -> bytes:
    """An MP4 whose sample description claims SIDE x SIDE pixels."""
    sound = film("mp4", 8)
    at = sound.index(b"avc1", sound.index(b"stsd")) + 28
    return sound[:at] + struct.pack(">HH", SIDE, SIDE) + sound[at + 4 :]


def full_npz(size: int) -> bytes:
    """Of zeros, which take a thousandth."""
    header = npy_header(f"({size // 24}, 6)")
    return zipped(data=header + bytes(size), compression=zipfile.ZIP_DEFLATED)


def deep_json(depth: int) -> bytes:
    return b'{"series": ' + b"[" * depth + b"]" * depth + b"}"


def wide_csv(columns: int) -> bytes:
    return b"time" + b",a" * columns + b"\n2024-01-01" + b",1" * columns


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "PNG of 60,000 x 60,000": (IMAGE, lambda: png(SIDE, SIDE)),
    "PNG of 6,000 x 6,000 black pixels": (IMAGE, lambda: black_png(6000)),
    "BMP of 2^31 x 1": (IMAGE, lambda: bmp(2**31 - 1, 1)),
    "hour of silence, FLAC": (AUDIO, silence),
    "WAV that claims 4 GB": (AUDIO, endless_wav),
    "MP4 of 60,000 x 60,000": (VIDEO, huge_film),
    "GIF of 65,535 x 65,535": (VIDEO, lambda: gif(65_535, 65_535)),
    "PLY of 10^9 points": (CLOUD, lambda: ply_header(vertices=f"{BILLION}")),
    "PLY of 10^9 faces": (CLOUD, lambda: ply_header(faces=f"{BILLION}") + b"0 0 0\n" * 3),
    "PCD of 10^12 points": (CLOUD, lambda: pcd_header(f"{1000 * BILLION}")),
    "npy of 10^12 points": (CLOUD, lambda: npy_header(f"({1000 * BILLION}, 3)") + bytes(100)),
    "npz of 400 MB": (CLOUD, lambda: full_npz(400_000_000)),
    "npy of 10^12 hours": (WEATHER, lambda: npy_header(f"({1000 * BILLION}, 3)") + bytes(100)),
    "npz of 400 MB, as weather": (WEATHER, lambda: full_npz(400_000_000)),
    "JSON a million deep": (WEATHER, lambda: deep_json(1_000_000)),
    "CSV of a million columns": (WEATHER, lambda: wide_csv(1_000_000)),
    "gzip of zeros": (WEATHER, lambda: gzip.compress(bytes(100_000_000))),
}
