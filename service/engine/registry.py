"""The engines an operator may choose from."""

from collections.abc import Callable

from service.engine.base import Engine, EngineOptions, Load
from service.engine.process import ProcessEngine
from service.settings import Settings


def _in_this_process(settings: Settings, load: Load) -> Engine:
    from service.engine.local import LocalEngine  # it brings torch, for which a server with the other has no use

    return LocalEngine(settings, load=load)


ENGINES: dict[str, Callable[[Settings, EngineOptions, Load], Engine]] = {
    "process": lambda settings, options, load: ProcessEngine(settings, options=options, load=load),
    "thread": lambda settings, options, load: _in_this_process(settings, load),
}
