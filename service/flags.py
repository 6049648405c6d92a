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
SWITCH = bool | None


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


def default_text(info: FieldInfo) -> str:
    """A setting's default as people write it; empty where its description says what happens by default."""
    default = info.get_default(call_default_factory=True, validated_data={})
    if info.annotation == PATHS:
        return ", ".join(place.name for place in default)
    if default is None:
        return ""
    return f"{default:g}" if isinstance(default, float) else str(getattr(default, "value", default))


def _flag(name: str, info: FieldInfo) -> inspect.Parameter:
    default = default_text(info)
    option = typer.Option(
        None,  # so that environment variables and the settings' own defaults apply
        f"{flag_name(name)}/{flag_name(f'no_{name}')}" if info.annotation == SWITCH else flag_name(name),
        help=f"{info.description}  [default: {default}]" if default else info.description,
        show_default=False,
        metavar=_metavar(info),
        envvar=environment_variable(name),
        show_envvar=False,
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=_flag_type(info))


def flag_name(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


def environment_variable(setting: str) -> str:
    return f"{Settings.model_config['env_prefix']}{setting.upper()}"


def _metavar(info: FieldInfo) -> str | None:
    return "PATH" if info.annotation == PATHS else None


def _flag_type(info: FieldInfo) -> Any:
    kind = list[Path] if info.annotation == PATHS else info.annotation
    return typing.Optional[kind]  # noqa: UP045 (typer reads this form of a type that is known only here)
