"""Command-line flags made from dataclasses of settings, so that every setting is written once."""

import dataclasses
import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import typer

SettingsT = TypeVar("SettingsT")


def flags_of(kind: type, defaults: Any = None) -> Iterator[inspect.Parameter]:
    """A keyword parameter, with its typer option, for every field that `setting` made.

    defaults: a value of the kind, where its own defaults are not those of the command.
    """
    types = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if "help" not in field.metadata:
            continue
        names = [field.metadata["flag"]] if field.metadata["flag"] else []
        option = typer.Option(getattr(defaults, field.name, field.default), *names, help=field.metadata["help"])
        yield inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=types[field.name]
        )


def from_flags(kind: type[SettingsT], flags: Mapping[str, Any]) -> SettingsT:
    """The dataclass, its fields taken from the flags of all."""
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in flags.items() if name in names})
