"""The keys that clients may send."""

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

FILE_MARK = "@"


def read_keys(text: str) -> tuple[str, ...]:
    """Keys separated by commas, or `@file` with one a line. Raises ValueError for a file that holds none."""
    if not text.startswith(FILE_MARK):
        return _stripped(text.split(","))
    file = Path(text.removeprefix(FILE_MARK))
    try:
        keys = _stripped(line for line in file.read_text().splitlines() if not line.startswith("#"))
    except OSError as error:
        raise ValueError(f"the key file cannot be read: {error}") from error
    if not keys:
        raise ValueError(f"{file} contains no keys: write one per line")
    return keys


class Keys:
    """Known keys by their hashes."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    def __len__(self) -> int:
        return len(self._digests)

    def place(self, key: bytes) -> int | None:
        """Which of the keys it is. Takes the same time for any key, known or not; none, which is no key, takes none."""
        if not key or not self._digests:
            return None
        digest = _digest(key)
        found = [hmac.compare_digest(digest, known) for known in self._digests]
        return found.index(True) if any(found) else None


def _stripped(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(key.strip() for key in keys if key.strip())


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
