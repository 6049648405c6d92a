"""Bytes that nobody vouches for -> a Cloud: which format they are of, and what its reader may raise."""

import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from preprocessors.clouds.cloud import Cloud, damaged
from preprocessors.clouds.npy import read_npy, read_npz
from preprocessors.clouds.obj import KEYWORD, read_obj
from preprocessors.clouds.off import read_off
from preprocessors.clouds.pcd import read_pcd
from preprocessors.clouds.ply import read_ply
from preprocessors.clouds.point_table import is_csv, is_pts, is_xyz, read_pts, read_table
from preprocessors.clouds.radhar import OPENING, read_radhar
from preprocessors.clouds.stl import is_stl, read_stl
from preprocessors.faults import refused
from preprocessors.formats import Recognises, recognise

Reader = Callable[[bytes, int], Cloud]  # from the payload and the most points that may be read


@dataclass(frozen=True)
class Format:
    recognises: Recognises
    read: Reader


FORMATS: dict[str, Format] = {
    "npy": Format(re.compile(rb"\x93NUMPY").match, read_npy),
    "npz": Format(re.compile(rb"PK\x03\x04").match, read_npz),
    "stl": Format(is_stl, read_stl),
    "ply": Format(re.compile(rb"ply[ \t]*\r?\n").match, read_ply),
    "pcd": Format(re.compile(rb"(?:\s|#[^\n]*\n)*+(?:VERSION|FIELDS)\s").match, read_pcd),
    "off": Format(re.compile(rb"(?:ST)?C?N?OFF[\s\d#]").match, read_off),
    "obj": Format(KEYWORD.match, read_obj),
    "radhar": Format(OPENING.match, read_radhar),
    "csv": Format(is_csv, read_table),
    "xyz": Format(is_xyz, read_table),
    "pts": Format(is_pts, read_pts),
}
# What numpy, zipfile and zlib raise on broken files
FAULTS = (
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    EOFError,
    SyntaxError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def read_cloud(payload: bytes, max_points: int) -> tuple[str, Cloud]:
    """The name of the format, and what the file holds. Raises PayloadError alone."""
    name = recognise(payload, {name: known.recognises for name, known in FORMATS.items()}, "point cloud")
    with reader_faults():
        return name, FORMATS[name].read(payload, max_points)


def reader_faults() -> AbstractContextManager[None]:
    """Turn whatever a reader raises into a PayloadError."""
    memory = "reading this point cloud takes more memory than is allowed: thin it out"
    return refused(FAULTS, lambda error: damaged(str(error) or type(error).__name__), memory)
