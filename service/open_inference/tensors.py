"""Tensors as the protocol writes them: numbers in JSON, or little-endian bytes behind it."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import malformed

FP32, BYTES = "FP32", "BYTES"  # datatypes of the protocol
LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Tensor:
    """An array of float32, or of texts (BYTES)."""

    name: str
    values: NDArray[Any]

    @property
    def datatype(self) -> str:
        return FP32 if self.values.dtype == np.float32 else BYTES

    def described(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.values.shape)}

    def in_json(self) -> dict[str, Any]:
        return {**self.described(), "data": self.values.ravel().tolist()}

    def in_binary(self) -> tuple[dict[str, Any], bytes]:
        """What JSON says of it, and the bytes behind."""
        data = (
            self.values.astype("<f4").tobytes() if self.datatype == FP32 else write_bytes(self.values.ravel().tolist())
        )
        return {**self.described(), "parameters": {"binary_data_size": len(data)}}, data


def classified(tensor: Tensor, count: int, labels: Sequence[str]) -> Tensor:
    """The classification extension: of the last axis the `count` highest values, as "value:index:label"."""
    best = np.argsort(-tensor.values, axis=-1, kind="stable")[..., :count]
    values = np.take_along_axis(tensor.values, best, axis=-1)
    pairs = zip(values.ravel().tolist(), best.ravel().tolist(), strict=True)
    texts = [f"{value:f}:{i}:{labels[i]}" for value, i in pairs]
    return Tensor(tensor.name, np.array(texts, object).reshape(best.shape))


def write_bytes(texts: Sequence[str]) -> bytes:
    elements = [text.encode() for text in texts]
    return b"".join(LENGTH.pack(len(element)) + element for element in elements)


def read_bytes(data: memoryview, count: int) -> list[bytes]:
    """The elements of a BYTES tensor, each its length and so many bytes. Raises Problem 400 for other than `count`."""
    elements: list[bytes] = []
    offset = 0
    while len(elements) < count and offset + LENGTH.size <= len(data):
        (length,) = LENGTH.unpack_from(data, offset)
        offset += LENGTH.size + length
        elements.append(bytes(data[offset - length : offset]))
    if len(elements) != count or offset != len(data):
        raise malformed(f"a BYTES tensor of {len(data)} bytes does not hold {count} length-prefixed elements")
    return elements
