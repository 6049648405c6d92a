"""How the errors of an engine reach the server: by the name of a kind that both know, and a message."""

from models.description import CheckpointError
from service.engine.base import OutOfMemory

# By the name under which they travel; of others, the nearest ancestor
ERRORS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (OutOfMemory, CheckpointError, FloatingPointError, ValueError, TypeError, LookupError, RuntimeError)
}


def to_wire(error: Exception) -> tuple[str, str]:
    """Name of a kind that the other process knows, and a message that names the type where it is another."""
    kind = next((base for base in type(error).__mro__ if base in ERRORS.values()), RuntimeError)
    message = str(error) if kind is type(error) else f"{type(error).__name__}: {error}"
    return kind.__name__, message


def from_wire(kind: str, message: str) -> Exception:
    return ERRORS[kind](message)
