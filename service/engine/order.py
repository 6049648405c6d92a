"""The first message to an engine: what to load, and by which settings."""

import pickle
import sys

from service.engine.base import Load
from service.settings import Settings


def written_order(function: Load, settings: Settings) -> bytes:
    """function: a module's, found by its name with this process's `sys.path`."""
    return pickle.dumps((sys.path, pickle.dumps((function, settings))))


def read_order(order: bytes) -> tuple[Load, Settings]:
    """See `written_order`."""
    sys.path, rest = pickle.loads(order)
    function, settings = pickle.loads(rest)
    return function, settings
