"""The header of a PLY file, which says what its body holds (Turk, The PLY Polygon File Format, 1994)."""

import re
from dataclasses import dataclass

import numpy as np

from preprocessors.clouds.cloud import damaged

MAX_HEADER = 65_536
END = re.compile(rb"\nend_header[ \t]*(?:\r?\n|\Z)")
COUNT = re.compile(r"\d{1,18}")
TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
BYTE_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
IGNORED = ("comment", "obj_info")


@dataclass(frozen=True)
class Property:
    """One number of a record, of numpy type `kind`; or, where `count_kind` is set, a list of them after its length."""

    name: str
    kind: str
    count_kind: str | None = None


@dataclass(frozen=True)
class Element:
    """`count` records of the same properties."""

    name: str
    count: int
    properties: tuple[Property, ...] = ()

    @property
    def has_lists(self) -> bool:
        return any(item.count_kind for item in self.properties)

    def record(self, byte_order: str) -> np.dtype[np.void]:
        """What a record without lists is in a binary body."""
        return np.dtype([(item.name, byte_order + item.kind) for item in self.properties])

    def with_property(self, item: Property) -> "Element":
        if any(item.name == other.name for other in self.properties):
            raise damaged(f"its element {self.name} has two properties {item.name}")
        return Element(self.name, self.count, (*self.properties, item))


@dataclass(frozen=True)
class Header:
    """byte_order: "<" or ">", "" for text. size: bytes up to the body."""

    byte_order: str
    elements: tuple[Element, ...]
    size: int

    def element(self, name: str) -> Element:
        """The first of that name; one without records where there is none."""
        return next((item for item in self.elements if item.name == name), Element(name, 0))


def parse_header(payload: bytes) -> Header:
    end = END.search(payload, 0, MAX_HEADER)
    if end is None:
        raise damaged(f"its first {MAX_HEADER} bytes hold no line end_header")
    encoding, elements = "", list[Element]()
    for line in payload[: end.start()].decode("latin-1").splitlines()[1:]:
        match line.split():
            case ["format", name, _]:
                encoding = name
            case ["element", name, count] if COUNT.fullmatch(count):
                elements.append(Element(name, int(count)))
            case ["property", *words] if elements:
                elements[-1] = elements[-1].with_property(_property(words))
            case [keyword, *_] if keyword not in IGNORED:
                raise damaged(f"its header has the line {line!r}")
    if encoding not in BYTE_ORDERS:
        raise damaged(f"its encoding is {encoding!r}, expected one of {', '.join(BYTE_ORDERS)}")
    return Header(BYTE_ORDERS[encoding], tuple(elements), end.end())


def _property(words: list[str]) -> Property:
    match words:
        case ["list", count_kind, kind, name] if np.dtype(TYPES.get(count_kind, "f4")).kind in "iu" and kind in TYPES:
            return Property(name, TYPES[kind], TYPES[count_kind])
        case [kind, name] if kind in TYPES:
            return Property(name, TYPES[kind])
    raise damaged(f"its header has the property {' '.join(words)!r}")
