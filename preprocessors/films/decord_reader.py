"""The real decord, for those who want it: an extra, and behind the same index and limits."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from preprocessors.base import UndecodableInput
from preprocessors.films.bilinear import Raster
from preprocessors.films.video_reader import VideoReader

TRUSTED = frozenset({"mov", "matroska"})  # it hangs on a transport stream, and misses the frames of an AVI


class DecordReader(VideoReader):
    """Reads mp4, mov, mkv and webm by decord and the rest as its base does.

    Some damaged files crash decord, and the process that runs it: use it where that is looked after. The guarded
    demuxer has read the whole file before decord sees it, so that it cannot be one of the formats that name others.
    """

    _decord: Any = None

    @classmethod
    def check_installed(cls) -> None:
        """Raises ValueError that names the extra to install."""
        if find_spec("decord") is None:
            raise ValueError("decoder 'decord' is not installed: pip install 'unireplknet-service[decord]'")

    def _raster(self, number: int) -> Raster:
        if self.index.demuxer not in TRUSTED:
            return super()._raster(number)
        if self._decord is None:
            super()._raster(0)  # decord has no limit on pixels: a frame larger than the header says is refused here
            self.close()
            self._decord = _opened(self._payload, *self._size)
        with _faults():
            frame = self._decord[min(number, len(self._decord) - 1)].asnumpy()
        # decord hands out the padding of short rows as if it were pixels
        return frame if frame.shape[2] == 3 else super()._raster(number)


def _opened(payload: bytes, width: int, height: int) -> Any:
    decord = import_module("decord")
    decord.logging.set_level(decord.logging.QUIET)
    with _faults():
        return decord.VideoReader(io.BytesIO(payload), width=width, height=height, num_threads=1)


@contextmanager
def _faults() -> Iterator[None]:
    """Turn what decord raises into a PayloadError; it says where in its source that happened before it says what."""
    try:
        yield
    except (import_module("decord").DECORDError, RuntimeError, AssertionError) as error:
        detail = "decord cannot decode the video: it is damaged or incomplete, export it again"
        raise UndecodableInput("undecodable_input", detail) from error
