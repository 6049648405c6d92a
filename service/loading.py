"""What makes the models that an engine runs, by name: whoever only passes it on need not import what it brings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from service.settings import Settings

if TYPE_CHECKING:  # it brings torch
    from service.pipeline import Pipeline


@dataclass(frozen=True)
class NamedLoad:
    """A `Load` that is imported where it is called. name: "module:function". arguments: what comes before the
    settings."""

    name: str
    arguments: tuple[Any, ...] = ()

    def __call__(self, settings: Settings) -> "Mapping[str, Pipeline]":
        models: Mapping[str, Pipeline] = resolve_name(self.name)(*self.arguments, settings)
        return models


CHECKPOINTS = NamedLoad("service.pipeline:load_pipelines")
