"""Whether processes can be started: what became of the attempts to."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HANGS_S = 10.0  # importing what decodes takes a second, and a few on a busy machine


class WorkerStarts:
    """The last attempt that ended counts, and each that does not end for too long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failure: str | None = None
        self._open: dict[object, float] = {}

    @property
    def fault(self) -> str | None:
        """Why none can be started, as far as is known."""
        longest_s = max((self._clock() - began for began in self._open.values()), default=0.0)
        return f"one has been starting for {longest_s:.0f} s" if longest_s > HANGS_S else self._failure

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Inside the block one is started; to give it up tells nothing."""
        number = object()
        self._open[number] = self._clock()
        try:
            yield
            self._failure = None
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._failure = str(error) or type(error).__name__
            raise
        finally:
            del self._open[number]
