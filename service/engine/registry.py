"""The engines an operator may choose from."""

from collections.abc import Callable

from service.engine.base import Engine, EngineOptions, Load
from service.engine.local import LocalEngine
from service.engine.process import ProcessEngine
from service.settings import Settings

ENGINES: dict[str, Callable[[Settings, EngineOptions, Load], Engine]] = {
    "process": lambda settings, options, load: ProcessEngine(settings, options=options, load=load),
    "thread": lambda settings, options, load: LocalEngine(settings, load=load),
}
