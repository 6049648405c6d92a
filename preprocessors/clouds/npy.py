"""Arrays that numpy saved, .npy and .npz (numpy.lib.format); never the pickled objects that these files may hold."""

import ast
import io
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import IO, Any

import numpy as np

from preprocessors.base import Array
from preprocessors.clouds.cloud import Cloud, check_inflated, check_points, damaged
from preprocessors.clouds.number_lines import MAX_COLUMNS

POINTS = ("points", "xyz", "arr_0")  # arr_0 is what np.savez calls an array that it was given without a name
MAX_ARRAYS = 64
DIRECTORY_ENTRY = b"PK\x01\x02"
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MAGIC = struct.Struct("<6sBB")
LENGTHS = {1: struct.Struct("<H"), 2: struct.Struct("<I"), 3: struct.Struct("<I")}  # of the header, by version
MAX_HEADER = 10_000
REAL = "iuf"
COLUMNS = range(3, MAX_COLUMNS + 1)


@dataclass(frozen=True)
class Header:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    by_columns: bool

    @classmethod
    def read(cls, file: IO[bytes]) -> "Header":
        _, version, _ = MAGIC.unpack(file.read(MAGIC.size))
        if version not in LENGTHS:
            raise damaged(f"its npy version is {version}, expected one of {', '.join(map(str, LENGTHS))}")
        (length,) = LENGTHS[version].unpack(file.read(LENGTHS[version].size))
        if length > MAX_HEADER:
            raise damaged(f"its npy header takes {length} bytes, at most {MAX_HEADER} are read")
        entries = ast.literal_eval(file.read(length).decode("utf-8" if version > 2 else "latin-1").strip())
        shape = tuple(int(size) for size in entries["shape"])
        if min(shape, default=0) < 0:
            raise damaged(f"its array has the shape {shape}")
        return cls(shape, np.lib.format.descr_to_dtype(entries["descr"]), bool(entries["fortran_order"]))


def read_npy(payload: bytes, max_points: int) -> Cloud:
    """An array (N, 3 or more), whose first columns are x y z; or a structured one (N,) with fields of these names."""
    return _cloud(_points(io.BytesIO(payload), max_points), {})


def read_npz(payload: bytes, max_points: int) -> Cloud:
    """Such an array named points, xyz or arr_0; others of shape (N,) are attributes."""
    if payload.count(DIRECTORY_ENTRY) > MAX_ARRAYS:
        raise damaged(f"it holds more than {MAX_ARRAYS} arrays")
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        entries = {item.filename.removesuffix(".npy"): item for item in archive.infolist()}
        name = next((name for name in POINTS if name in entries), None)
        if name is None:
            raise damaged(f"none of its arrays is named {', '.join(POINTS)}")
        check_inflated(sum(item.file_size for item in entries.values()), max_points)
        if any(item.compress_type not in COMPRESSIONS for item in entries.values()):
            raise damaged("it is compressed in another way than np.savez_compressed does")
        with archive.open(entries.pop(name)) as file:
            points = _points(file, max_points)
        return _cloud(points, dict(_attributes(archive, entries, len(points))))


def _attributes(
    archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], points: int
) -> Iterator[tuple[str, Array]]:
    """What has a number for every point. Other arrays are not read beyond their headers."""
    for name, item in entries.items():
        with archive.open(item) as file:
            header = Header.read(file)
            if header.shape == (points,) and header.dtype.kind in REAL:
                yield name, _array(file, header)


def _points(file: IO[bytes], max_points: int) -> Array:
    header = Header.read(file)
    if header.dtype.hasobject:
        raise damaged("it holds pickled Python objects, which are never loaded")
    structured = header.dtype.names is not None
    if not structured and header.dtype.kind not in REAL:
        raise damaged(f"its numbers are of type {header.dtype.str}, expected floating-point numbers or integers")
    if len(header.shape) != (1 if structured else 2) or (not structured and header.shape[1] not in COLUMNS):
        raise damaged(f"its array has the shape {header.shape}, expected (N, 3), or (N,) with fields x, y, z")
    check_points(header.shape[0], max_points)
    return _array(file, header)


def _array(file: IO[bytes], header: Header) -> Array:
    """Reads no more than the header declares."""
    size = prod(header.shape) * header.dtype.itemsize
    data = file.read(size)
    if len(data) != size or file.read(1):
        raise damaged(f"its header declares {size} bytes of numbers, it holds more or fewer")
    return np.frombuffer(data, header.dtype).reshape(header.shape, order="F" if header.by_columns else "C")


def _cloud(points: Array, others: Mapping[str, Array]) -> Cloud:
    if points.dtype.names is None:
        return Cloud.of_columns({**others, **dict(zip("xyz", points.T, strict=False))})
    columns = {name: points[name] for name in points.dtype.names}
    usable = {name: column for name, column in columns.items() if column.ndim == 1 and column.dtype.kind in REAL}
    return Cloud.of_columns({**others, **usable})
