"""Arrays that numpy saved, .npy and .npz (numpy.lib.format); never the pickled objects that these files may hold."""

import io
import zipfile
from math import prod
from typing import Any

import numpy as np

from preprocessors.base import Array
from preprocessors.histories.refusal import damaged
from preprocessors.histories.terms import Terms
from preprocessors.histories.variable import Values

MAX_HEADER = 10_000  # bytes
MAX_ARRAYS = 64
BYTES_PER_VALUE = 8
BYTES_PER_STATION = 1_000  # for names of any width and for positions
DIRECTORY_ENTRY = b"PK\x01\x02"
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
REAL, SPOKEN = "iuf", "iufUM"  # kinds of numbers; and of what else an npz file may say: text and times
READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def number_array(array: Array, by_station: bool = False) -> Values:
    """(T, N) float64 from (T, N) or (T, N, 1) real numbers; by_station: from (N, T)."""
    if array.dtype.kind not in REAL:
        raise damaged(f"its numbers are of type {array.dtype.str}, expected floating-point numbers or integers")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 or not array.size:
        expected = "(stations, hours)" if by_station else "(hours, stations)"
        raise damaged(f"its array has the shape {array.shape}, expected {expected}", "send one variable at a time")
    return (array.T if by_station else array).astype(np.float64, copy=False)


def saved_array(payload: bytes, terms: Terms) -> Array:
    """What the bytes of an .npy file hold; a view of them."""
    file = io.BytesIO(payload)
    version = np.lib.format.read_magic(file)
    if version not in READ_HEADER:
        raise damaged(f"its npy version is {version[0]}.{version[1]}, expected 1.0 or 2.0", "save it with np.save")
    shape, by_columns, dtype = READ_HEADER[version](file, max_header_size=MAX_HEADER)
    if dtype.kind not in SPOKEN:
        raise damaged(f"it holds an array of type {dtype.str}, expected numbers or text", "save plain arrays")
    _check_shape(shape, terms)
    size, start = prod(shape) * dtype.itemsize, file.tell()
    if len(payload) - start != size:
        raise damaged(f"its header declares {size} bytes of numbers, it holds {len(payload) - start}", "save it again")
    return np.frombuffer(payload, dtype, prod(shape), start).reshape(shape, order="F" if by_columns else "C")


def _check_shape(shape: tuple[int, ...], terms: Terms) -> None:
    if min(shape, default=1) < 0:
        raise damaged(f"its array has the shape {shape}", "save it again")
    terms.check_values(prod(shape))


def saved_arrays(payload: bytes, terms: Terms) -> dict[str, Any]:
    """What an .npz file holds, by name; single values as text or numbers."""
    if payload.count(DIRECTORY_ENTRY) > MAX_ARRAYS:
        raise damaged(f"it holds more than {MAX_ARRAYS} arrays", "save the arrays of one history alone")
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        entries = archive.infolist()
        around = BYTES_PER_STATION * terms.max_stations
        terms.check_values((sum(item.file_size for item in entries) - around) // BYTES_PER_VALUE)
        if any(item.compress_type not in COMPRESSIONS for item in entries):
            raise damaged("it is compressed in another way than np.savez_compressed does", "save it with numpy")
        return {item.filename.removesuffix(".npy"): _spoken(saved_array(archive.read(item), terms)) for item in entries}


def _spoken(array: Array) -> Any:
    if array.dtype.kind == "M":
        array = np.datetime_as_string(array)
    return array if array.ndim else array.item()
