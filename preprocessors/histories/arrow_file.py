"""CSV and parquet, by pyarrow: chosen columns of a table, whose names and number of rows are known before it is read.

pyarrow comes with the extra `weather`. Its threads and its own allocator stay unused: a decode worker has one core, and
a limit on its address space.
"""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from preprocessors.base import UnsupportedFormat
from preprocessors.histories.terms import Terms

DELIMITERS = ",;\t"
BLOCK_BYTES = 1 << 22  # the longest row that is read
MAX_SCHEMA_BYTES = 1 << 23  # of a string in the footer of a parquet file, of which the longest holds the schema
MAX_FOOTER_ITEMS = 1_000_000
NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
DECIMAL_COMMA = re.compile(rb"\d,\d")


Columns = dict[str, Any]  # pyarrow's, by name


@dataclass(frozen=True)
class ArrowFile:
    """names: of its columns. rows: at most so many. read: some of its columns, those of text
    first, which is encoded as a dictionary, then those of numbers."""

    names: tuple[str, ...]
    rows: int
    read: Callable[[Sequence[str], Sequence[str]], Columns]


@cache
def arrow(module: str = "pyarrow") -> Any:
    try:
        library = import_module("pyarrow")
        library.set_memory_pool(library.system_memory_pool())
        return import_module(module)
    except ImportError as error:
        remedy = "install unireplknet-service[weather], or send JSON, npy or npz"
        detail = f"this service reads no CSV and parquet files ({error}): {remedy}"
        raise UnsupportedFormat("unsupported_media_type", detail) from None


def open_csv(payload: bytes, terms: Terms) -> ArrowFile:
    pyarrow, reader = arrow(), arrow("pyarrow.csv")
    payload = payload.lstrip(b"\r\n")
    header = payload[:BLOCK_BYTES].partition(b"\n")[0].decode().rstrip("\r")
    delimiter = max(DELIMITERS, key=header.count)
    terms.check_stations(header.count(delimiter))  # a table has no more; splitting the line takes 20 times its memory
    names = tuple(name.strip() for name in next(csv.reader([header], delimiter=delimiter, strict=True), ()))
    comma = delimiter != "," and DECIMAL_COMMA.search(payload) is not None

    def read(texts: Sequence[str], numbers: Sequence[str]) -> Columns:
        encoded = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
        types = dict.fromkeys(texts, encoded) | dict.fromkeys(numbers, pyarrow.float64())
        table = reader.read_csv(
            pyarrow.BufferReader(payload),
            reader.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=list(names), skip_rows=1),
            reader.ParseOptions(delimiter=delimiter),
            reader.ConvertOptions(
                column_types=types,
                include_columns=[*texts, *numbers],
                null_values=NULLS,
                strings_can_be_null=True,
                decimal_point="," if comma else ".",
            ),
        )
        return dict(zip(table.column_names, table.columns, strict=True))

    return ArrowFile(names, payload.count(b"\n") + payload.count(b"\r"), read)


def open_parquet(payload: bytes) -> ArrowFile:
    pyarrow, reader = arrow(), arrow("pyarrow.parquet")

    def opened(texts: Sequence[str]) -> Any:
        return reader.ParquetFile(
            pyarrow.BufferReader(payload),
            read_dictionary=list(texts),
            pre_buffer=False,
            thrift_string_size_limit=MAX_SCHEMA_BYTES,
            thrift_container_size_limit=MAX_FOOTER_ITEMS,
        )

    file = opened(())
    metadata = file.metadata
    rows = max(metadata.num_rows, sum(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)))

    def read(texts: Sequence[str], numbers: Sequence[str]) -> Columns:
        table = opened(texts).read([*texts, *numbers], use_threads=False)
        return dict(zip(table.column_names, table.columns, strict=True))

    return ArrowFile(tuple(file.schema_arrow.names), rows, read)
