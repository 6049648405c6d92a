"""A setting of training: a dataclass field that says what it does, and becomes a flag of the command line."""

from dataclasses import field
from typing import Any


def setting(default: Any, help: str, flag: str | None = None) -> Any:
    """A dataclass field; its flag is its name, unless another is given."""
    return field(default=default, metadata={"help": help, "flag": flag})
