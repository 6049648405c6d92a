"""Reads the files of a data set; what cannot be read is named."""

from collections.abc import Callable
from typing import Any, TypeVar

from preprocessors.base import PayloadError, Preprocessor, Sample
from training.dataset_error import DatasetError
from training.example import Example

ItemT = TypeVar("ItemT")


def decode_example(example: Example, preprocessor: Preprocessor[Any]) -> Sample:
    """Raises DatasetError, naming the file, where it cannot be used."""
    return read_example(example, lambda payload: preprocessor.decode(payload, preprocessor.option_type()))


def read_example(example: Example, read: Callable[[bytes], ItemT]) -> ItemT:
    """What `read` makes of the file's bytes; a refusal becomes a DatasetError that names the file."""
    try:
        return read(example.path.read_bytes())
    except PayloadError as error:
        raise DatasetError(f"{example.path} cannot be used: {error}") from error
