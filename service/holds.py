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
        for key in held:
            self._users[key] += 1
        try:
            yield
        finally:
            for key in held:
                self._users[key] -= 1
                if not self._users[key]:
                    del self._users[key]
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
