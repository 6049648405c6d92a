"""What is in use, so that whoever takes it away waits until it is not."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Holds:
    """Counts the users of each key. Belongs to one event loop."""

    def __init__(self) -> None:
        self._users: Counter[str] = Counter()
        self._unused: dict[str, asyncio.Event] = {}

    @contextmanager
    def hold(self, keys: Iterable[str]) -> Iterator[None]:
        """Use these inside the block."""
        held = list(keys)
        self._users.update(held)
        try:
            yield
        finally:
            self._users.subtract(held)
            for key in held:
                if not self._users[key]:
                    self._users.pop(key, None)
                    if key in self._unused:
                        self._unused[key].set()

    async def released(self, key: str) -> None:
        """Wait until nobody uses it; nobody may begin to meanwhile."""
        if self._users[key]:
            self._unused[key] = asyncio.Event()
            try:
                await self._unused[key].wait()
            finally:
                del self._unused[key]
