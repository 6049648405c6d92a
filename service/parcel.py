"""Objects from one process to another through memory that both share; through a socket goes only the notice of them."""

import pickle
import struct
from typing import Any

from service.engine.arena import Arena

NOTICE = struct.Struct("<Q")  # the length of what is pickled
KEPT = 1 << 20  # bytes of an arena that stay: what larger parcels took is given back


def packed(arena: Arena, item: Any) -> bytes:
    """Lay it over what was there, and return the notice of it."""
    pickled = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
    arena.lay(pickled)
    return NOTICE.pack(len(pickled))


def unpacked(arena: Arena, notice: bytes) -> Any:
    """What the notice tells of, as a copy."""
    return pickle.loads(arena.part(*NOTICE.unpack(notice)))
