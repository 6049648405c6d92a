"""Command-line flags made from the settings, so that every setting is written once."""

import functools
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydantic
import typer
from pydantic.fields import FieldInfo

from service.settings import Settings

PATHS = tuple[Path, ...]


def with_settings(command: Callable[[Settings], None]) -> Callable[..., None]:
    """Turn a function of Settings into a command with a flag per setting; flags go before environment variables."""

    @functools.wraps(command)
    def run(**flags: Any) -> None:
        command(read_settings(flags))

    parameters = [_flag(name, info) for name, info in Settings.model_fields.items()]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def read_settings(flags: dict[str, Any]) -> Settings:
    """Settings from the flags that were given, then the environment. Ends the program where one is invalid."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value not in (None, [])})
    except pydantic.ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise typer.BadParameter(faults) from error


def _flag(name: str, info: FieldInfo) -> inspect.Parameter:
    default = info.get_default(call_default_factory=True, validated_data={})
    shown = (
        ", ".join(place.name for place in default)
        if info.annotation == PATHS
        else str(getattr(default, "value", default))
    )
    option = typer.Option(
        None,
        f"--{name.replace('_', '-')}",
        help=info.description,
        show_default=shown,
        envvar=f"UNIREPLKNET_{name.upper()}",
        show_envvar=False,
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=_flag_type(info))


def _flag_type(info: FieldInfo) -> Any:
    kind = list[Path] if info.annotation == PATHS else info.annotation
    return typing.Optional[kind]  # noqa: UP045 (typer reads this form of a type that is known only here)
