"""The real decord, for those who want it: an extra, and behind the same index and limits."""

import io
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from preprocessors.videos.bilinear import Raster
from preprocessors.videos.video_reader import VideoReader

TRUSTED = frozenset({"mov", "matroska"})  # it hangs on a transport stream, and misses the frames of an AVI
DEEPEST = 8  # bits of a channel: from more, decord makes other colours


class DecordReader(VideoReader):
    """Reads mp4, mov, mkv and webm by decord and the rest as its base does; also those that decord gets wrong.

    decord numbers key frames in the order in which they are stored, which is not that in which they are shown where
    groups of pictures are open (hevc), and takes a key frame for whole even where those that follow complete it (intra
    refresh). What it says and shows of a file is therefore compared with what its base finds there.

    Some damaged files crash decord, and the process that runs it: use it where that is looked after. The guarded
    demuxer has read the whole file before decord sees it, so that it cannot be one of the formats that name others.
    """

    @classmethod
    def check_installed(cls) -> None:
        """Raises ValueError that names the extra to install."""
        if find_spec("decord") is None:
            raise ValueError("decoder 'decord' is not installed: pip install 'unireplknet-service[decord]'")

    def _raster(self, number: int) -> Raster:
        if self._decord is not None and self._can_start_at(self.index.key(number)):
            try:
                frame: Raster = self._decord[number].asnumpy()
                return frame
            except _faults():
                pass
        self._decord = None
        return super()._raster(number)

    @cached_property
    def _decord(self) -> Any | None:
        """None where it does not agree with the base: on how many frames there are, on where decoding can start, or on
        what the first one shows.
        """
        if self.index.demuxer not in TRUSTED or self._decoded(0).format.components[0].bits > DEEPEST:
            return None
        first = super()._raster(0)  # also refuses a frame larger than the header says: decord has no limit on pixels
        try:
            decord = self._opened()
            # The first frame, always: in its packet an encoder confesses the mistakes that FFmpeg then makes up for
            agrees = np.array_equal(decord[0].asnumpy(), first)
        except _faults():
            return None
        agrees &= len(decord) == len(self) and decord.get_key_indices() == list(self.index.keyframes)
        if not agrees:
            return None
        self.close()  # one decoder of the two is enough
        return decord

    def _opened(self) -> Any:
        library = import_module("decord")
        library.logging.set_level(library.logging.QUIET)
        width, height = self._size
        return library.VideoReader(io.BytesIO(self._payload), width=width, height=height, num_threads=1)

    def _can_start_at(self, key: int) -> bool:
        """Whether the base, decoding from this key frame on, gets that very frame first."""
        if key not in self._starts:
            first = self._first(self.index.times[key])
            self._starts[key] = first is not None and first[0] == key
            self.close()
        return self._starts[key]

    @cached_property
    def _starts(self) -> dict[int, bool]:
        """What was found out of key frames, by their numbers. At the first frame everything starts."""
        return {0: True}


def _faults() -> tuple[type[Exception], ...]:
    """What decord raises on files that it cannot read, some of which the base can."""
    return (import_module("decord").DECORDError, RuntimeError, AssertionError)
