"""What an engine has been asked and has not answered yet."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from service.engine.expectations import Work


class Question(NamedTuple):
    """limit_s: an answer that takes longer means that the engine hangs. patience_s: the same of one that computes
    nothing meanwhile; well beyond what is expected. settled: is called once it has come, or never will; the future may
    be done long before, when whoever asked has gone. work: whose time the answer tells.
    """

    answer: asyncio.Future[Any]
    limit_s: float
    patience_s: float
    settled: Callable[[], None] | None = None
    work: Work | None = None
