"""JSON with its long arrays of numbers cut down, for those who only want to know what else there is.

Making a Python object of each number holds the interpreter's lock, and so the event loop, for seconds in a large body.
"""

from service.large_json import LONG_BYTES, MAX_STRINGS

PEEK = 100  # bytes after a bracket in which the next one is looked for


def outline(body: bytes) -> bytes:
    """Every long array of numbers as [0], or as [[0]] where it holds arrays. What is cut out is not checked, and arrays
    that follow one another in a list count as one."""
    kept: list[bytes] = []
    copied = at = 0
    for _ in range(MAX_STRINGS):
        opening = body.find(b'"', at)
        array = _long_array(body, at, opening if opening >= 0 else len(body))
        if array is not None:
            first, end = array
            nested = body[first + 1 : first + PEEK].lstrip().startswith(b"[")
            kept += [body[copied:first], b"[[0]]" if nested else b"[0]"]
            copied = end
        closing = body.find(b'"', opening + 1)
        if opening < 0 or closing < 0 or body.find(b"\\", opening, closing) >= 0:
            break  # from the first backslash on, a quote may be part of a string
        at = closing + 1
    return b"".join([*kept, body[copied:]])


def _long_array(body: bytes, start: int, end: int) -> tuple[int, int] | None:
    """The first array between two strings, up to the end of the object that it is in."""
    if end - start <= LONG_BYTES:
        return None
    first, brace = body.find(b"[", start, end), body.find(b"}", start, end)
    last = body.rfind(b"]", start, brace if brace >= 0 else end)
    if not 0 <= first < last or body.find(b"{", first, last) >= 0:
        return None
    closed = body.count(b"[", first, last) == body.count(b"]", first, last + 1)
    return (first, last + 1) if closed else None
