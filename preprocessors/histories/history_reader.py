"""Bytes that nobody vouches for -> a History: which format they are of, what the request adds, and what is refused."""

import csv
import re
import struct
import tokenize
import zipfile
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from preprocessors.faults import refused
from preprocessors.formats import Recognises, recognise
from preprocessors.histories.agreement import agreed_variable, checked
from preprocessors.histories.arrow_file import open_csv, open_parquet
from preprocessors.histories.fields import record_of
from preprocessors.histories.history import History
from preprocessors.histories.json_body import read_json
from preprocessors.histories.number_array import number_array, saved_array, saved_arrays
from preprocessors.histories.record import Record
from preprocessors.histories.refusal import damaged
from preprocessors.histories.table import read_table
from preprocessors.histories.terms import Terms
from preprocessors.histories.weather_options import WeatherOptions

Reader = Callable[[bytes, Terms], Record]


@dataclass(frozen=True)
class Format:
    recognises: Recognises
    read: Reader


FORMATS: dict[str, Format] = {
    "npy": Format(
        re.compile(rb"\x93NUMPY").match, lambda payload, terms: Record(number_array(saved_array(payload, terms)))
    ),
    "npz": Format(
        re.compile(rb"PK\x03\x04").match, lambda payload, terms: record_of(saved_arrays(payload, terms), terms)
    ),
    "parquet": Format(re.compile(rb"PAR1").match, lambda payload, terms: read_table(open_parquet(payload), terms)),
    "json": Format(re.compile(rb"\s*+(?:[{\[]|(?:null|true|false|-?\d+)\s*\Z)").match, read_json),
    "csv": Format(
        re.compile(rb"[^\0\n]*[,;\t][^\0\n]*\n").match,
        lambda payload, terms: read_table(open_csv(payload, terms), terms),
    ),
}
# What numpy, zipfile and pyarrow raise on broken files. Not simply Exception: our own mistakes shall be seen.
FAULTS = (
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    EOFError,
    OSError,
    SyntaxError,
    RuntimeError,
    struct.error,
    csv.Error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_history(
    payload: bytes, options: WeatherOptions | None = None, terms: Terms | None = None
) -> tuple[str, History]:
    """The name of the format, and what the payload holds. Raises PayloadError alone."""
    options, terms = options or WeatherOptions(), terms or Terms()
    terms = replace(terms, variable=agreed_variable(options.variable, terms.variable))
    payload = payload.removeprefix(BOM_UTF8)
    name = recognise(payload, {name: known.recognises for name, known in FORMATS.items()}, "weather history")
    with reader_faults():
        return name, checked(FORMATS[name].read(payload, terms), options, terms)


def reader_faults() -> AbstractContextManager[None]:
    """Turn whatever a reader raises into a PayloadError."""
    memory = "reading this weather history takes more memory than is allowed: send fewer hours or stations"
    return refused(FAULTS, lambda error: damaged(str(error) or type(error).__name__, "export it again"), memory)
