"""The models that an engine is to have when it is replaced: those that the lost one had."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.description import CheckpointError
from service.engine.base import Load, Loaded
from service.settings import Settings

if TYPE_CHECKING:
    from service.pipeline import Pipeline

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reload:
    """A `Load`. sources: by key. load: makes those that were not read from a checkpoint, by their keys `made`."""

    sources: Mapping[str, str]
    made: tuple[str, ...]
    load: Load

    @classmethod
    def of(cls, loaded: Loaded, load: Load) -> "Reload":
        sources = {key: model.source for key, model in loaded.models.items() if model.source is not None}
        return cls(sources, tuple(key for key in loaded.models if key not in sources), load)

    def __call__(self, settings: Settings) -> "dict[str, Pipeline]":
        """A file that has gone or was broken since costs its own model, and no other."""
        from service.pipeline import load_pipeline  # in the engine, whose business torch is

        found = self.load(settings) if self.made else {}
        pipelines = {key: pipeline for key, pipeline in found.items() if key in self.made}
        for key, source in self.sources.items():
            try:
                pipelines[key] = load_pipeline(source, settings)
            except CheckpointError as error:
                log.error("%s cannot be loaded again: %s", key, error)
        return pipelines
