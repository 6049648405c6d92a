"""How a history is refused. A reason names what was found and what was expected; the remedy ends the sentence."""

from datetime import datetime, timedelta

from preprocessors.base import UndecodableInput

LONGEST_REASON = 300  # characters
LONGEST_QUOTE = 40
HOUR = timedelta(hours=1)


def damaged(reason: str, remedy: str = "correct it and send it again") -> UndecodableInput:
    """The refusal of a history whose format is known. The reason is cut where it quotes too much of the file."""
    reason = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}..."
    return UndecodableInput("undecodable_input", f"the weather history cannot be read ({reason}): {remedy}")


def quoted(value: object) -> str:
    """A value as it stands in the file, or the beginning of it."""
    text = repr(value[:LONGEST_QUOTE] if isinstance(value, str | bytes | list) else value)
    return text if len(text) <= LONGEST_QUOTE + 2 else f"{text[:LONGEST_QUOTE]}..."


def place(start: datetime, step: int, station: str) -> str:
    """Which value it is, in words."""
    return f"at {iso(start + step * HOUR)} of station {quoted(station)}"


def iso(time: datetime) -> str:
    """2026-11-20T00:00:00Z, for a time in UTC."""
    return time.isoformat().replace("+00:00", "Z")
