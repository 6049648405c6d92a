"""Memory that two processes share. It has no name, so nothing is left of it however they end."""

import fcntl
import math
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, groupby

import numpy as np

from preprocessors.base import Array

ALIGNMENT = 64  # bytes: a cache line, and a register of the widest vector instructions
SMALLEST = 1 << 16

Block = tuple[int, str, Sequence[int], int]  # arrays that follow each other, their dtype and shape, offset in bytes
Layout = dict[str, list[Block]]
Buffer = bytes | memoryview


class Arena:
    """One process writes and another reads, in turns that they agree upon elsewhere; it grows as the writer needs.

    fd: that of an arena made elsewhere; None makes one.
    """

    def __init__(self, fd: int | None = None) -> None:
        self.fd = _nameless_file() if fd is None else fd
        self._map = mmap.mmap(self.fd, os.fstat(self.fd).st_size)

    def close(self) -> None:
        """Let go of the memory, which lasts as long as somebody's arrays are in it."""
        os.close(self.fd)
        del self._map  # which holds a descriptor of its own

    def write(self, columns: Mapping[str, Sequence[Array]]) -> Layout:
        """Copy named lists of arrays over what was there, and say where they are. Raises TypeError for objects."""
        layout: Layout = {}
        groups, offset = [], 0
        for name, arrays in columns.items():
            layout[name] = []
            for group in _alike(arrays):
                first = group[0]
                layout[name].append((len(group), first.dtype.str, first.shape, offset))
                groups.append(group)
                offset += -(-len(group) * first.nbytes // ALIGNMENT) * ALIGNMENT
        self._grow(offset)
        for block, group in zip(chain.from_iterable(layout.values()), groups, strict=True):
            target = self.array(block)
            for place, array in enumerate(group):  # half the time of numpy.stack where they are small
                target[place] = array
        return layout

    def arrays(self, blocks: Iterable[Block]) -> list[Array]:
        """All of a column, one by one: views, until the writer's next turn."""
        return [whole[place, ...] for whole in map(self.array, blocks) for place in range(len(whole))]

    def array(self, block: Block) -> Array:
        """The same of one block, as an array of shape (count, *shape)."""
        count, dtype, shape, offset = block
        self._follow(self._end(block))
        return np.ndarray((count, *shape), dtype, self._map, offset)

    def lay(self, *parts: Buffer) -> None:
        """Copy bytes over what was there, one after the other."""
        size = sum(map(len, parts))
        self._grow(size)
        self._follow(size)
        offset = 0
        for part in parts:
            end = offset + len(part)
            self._map[offset:end] = part
            offset = end

    def part(self, offset: int, size: int) -> memoryview:
        """So many bytes of what was laid there, until the writer's next turn. Raises ValueError where it has fewer."""
        end = offset + size
        self._follow(end)
        if end > len(self._map):
            raise ValueError(f"{size} bytes at {offset} were told of, and there are {len(self._map)} in all")
        return memoryview(self._map)[offset:end]

    def trim(self, kept: int) -> None:
        """Give back what lies behind so many bytes, a multiple of a page, where the system knows how to."""
        if len(self._map) > kept and hasattr(mmap, "MADV_REMOVE"):
            with suppress(OSError):  # of a kernel that has no such call
                self._map.madvise(mmap.MADV_REMOVE, kept, len(self._map) - kept)

    @staticmethod
    def _end(block: Block) -> int:
        count, dtype, shape, offset = block
        return offset + count * np.dtype(dtype).itemsize * math.prod(shape)

    def _grow(self, size: int) -> None:
        if size > len(self._map):
            os.ftruncate(self.fd, 1 << (size - 1).bit_length())

    def _follow(self, size: int) -> None:
        """The other end may have made it grow."""
        if size > len(self._map):
            self._map = mmap.mmap(self.fd, os.fstat(self.fd).st_size)


@dataclass(frozen=True)
class Slot:
    """Where the views of a run lie, and where its rows go."""

    inbox: Arena
    outbox: Arena

    def close(self) -> None:
        self.inbox.close()
        self.outbox.close()


def _alike(arrays: Sequence[Array]) -> Iterator[list[Array]]:
    """Neighbours of one dtype and shape."""
    for (dtype, _), group in groupby(arrays, key=lambda array: (array.dtype, array.shape)):
        if dtype.hasobject:
            raise TypeError(f"an array of {dtype} cannot be shared with another process, expected numbers")
        yield list(group)


def _nameless_file() -> int:
    """A file in memory where there are such (a container's /dev/shm is small, and this does not count as it)."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("arena", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)  # one end shall not take it from under the other
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, SMALLEST)
    return fd
