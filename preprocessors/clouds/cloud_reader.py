"""Bytes that nobody vouches for -> a Cloud: which format they are of, and what its reader may raise."""

import re
import struct
import zipfile
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from preprocessors.base import UndecodableInput, UnsupportedFormat
from preprocessors.clouds.cloud import Cloud, damaged
from preprocessors.clouds.npy import read_npy, read_npz
from preprocessors.clouds.obj import KEYWORD, read_obj
from preprocessors.clouds.off import read_off
from preprocessors.clouds.pcd import read_pcd
from preprocessors.clouds.ply import read_ply
from preprocessors.clouds.point_table import is_csv, is_pts, is_xyz, read_pts, read_table
from preprocessors.clouds.stl import is_stl, read_stl
from preprocessors.faults import refused

Reader = Callable[[bytes, int], Cloud]  # from the payload and the most points that may be read


@dataclass(frozen=True)
class Format:
    recognises: Callable[[bytes], object]
    read: Reader


FORMATS: dict[str, Format] = {
    "npy": Format(re.compile(rb"\x93NUMPY").match, read_npy),
    "npz": Format(re.compile(rb"PK\x03\x04").match, read_npz),
    "stl": Format(is_stl, read_stl),
    "ply": Format(re.compile(rb"ply[ \t]*\r?\n").match, read_ply),
    "pcd": Format(re.compile(rb"(?:\s|#[^\n]*\n)*+(?:VERSION|FIELDS)\s").match, read_pcd),
    "off": Format(re.compile(rb"(?:ST)?C?N?OFF[\s\d#]").match, read_off),
    "obj": Format(KEYWORD.match, read_obj),
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
    name = cloud_format(payload)
    with reader_faults():
        return name, FORMATS[name].read(payload, max_points)


def cloud_format(payload: bytes) -> str:
    if not payload:
        raise UndecodableInput("undecodable_input", "the payload is empty: send the bytes of a point cloud")
    if payload.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise damaged("it is text in UTF-16, save it as UTF-8")
    for name, known in FORMATS.items():
        if known.recognises(payload):
            return name
    detail = f"no point cloud starts with the bytes {payload[:8]!r}: send one of {', '.join(FORMATS)}"
    raise UnsupportedFormat("unsupported_media_type", detail)


def reader_faults() -> AbstractContextManager[None]:
    """Turn whatever a reader raises into a PayloadError."""
    memory = "reading this point cloud takes more memory than is allowed: thin it out"
    return refused(FAULTS, lambda error: damaged(str(error) or type(error).__name__), memory)
