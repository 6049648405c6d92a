"""How urgent a request is."""

from enum import StrEnum


class Priority(StrEnum):
    """Somebody waits for the answer, or it may be found when nobody else does."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


# Under contention bulk work gets one part in sixteen of what is shared: it never starves
SHARES = {Priority.INTERACTIVE: 15.0, Priority.BULK: 1.0}
