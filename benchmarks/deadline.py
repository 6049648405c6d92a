"""When to begin nothing more."""

import time


class Deadline:
    def __init__(self, minutes: float) -> None:
        self._end = time.monotonic() + 60 * minutes

    def passed(self, ahead_s: float = 0.0) -> bool:
        """Now, or in so many seconds."""
        return time.monotonic() + ahead_s > self._end
