"""What a library raises on a broken file -> the refusal of that file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from preprocessors.base import PayloadError, TooLarge


@contextmanager
def refused(
    faults: tuple[type[Exception], ...], refusal: Callable[[Exception], PayloadError], out_of_memory: str
) -> Iterator[None]:
    """Turn faults into what `refusal` makes of them, and a lack of memory into TooLarge, told in these words.

    faults: those that the library raises on broken files. Not simply Exception: our own mistakes shall be seen.
    """
    try:
        yield
    except MemoryError as error:
        raise TooLarge("too_much_memory", out_of_memory) from error
    except faults as error:
        raise refusal(error) from error
