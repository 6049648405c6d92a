"""The frames of a video by their numbers, with the interface of decord's VideoReader.

decord itself lets FFmpeg guess what a payload is, so that an upload can make it bind a port; some files hang it, and
some that are cut short crash it. Here the same FFmpeg works behind the guards of `preprocessors.container`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from preprocessors.base import UndecodableInput
from preprocessors.container import container_format, decoder_faults
from preprocessors.formats import check_not_empty, unrecognized
from preprocessors.videos.frame_index import Limits, index_frames
from preprocessors.videos.frame_stream import FrameStream, decoded_frames

DEMUXERS = ("mov", "matroska", "avi", "gif", "mpegts")
FORMATS = ("mp4", "mov", "webm", "mkv", "avi", "gif", "ts")  # by the names that people use
FRAMES_PER_START = 32  # decoding this many takes about as long as opening the file once more
QUARTER = 90

Frame = NDArray[np.uint8]
Spans = NDArray[np.float64]


@dataclass(frozen=True)
class _Shown:
    """A decoded frame. It answers for the numbers `first` .. `last`: of those before its own there is none."""

    first: int
    last: int
    frame: VideoFrame


class VideoReader:
    """Frames are (height, width, 3) uint8 RGB, turned as the file says that they are to be shown.

    width, height: of the frames handed out; -1 keeps the video's own. max_pixels, max_frames and max_seconds are of
    the file, and checked before a frame is decoded. Raises PayloadError, here or wherever a frame is asked for.
    """

    def __init__(
        self,
        payload: bytes,
        width: int = -1,
        height: int = -1,
        max_pixels: int = 9_500_000,
        max_frames: int = 36_000,
        max_seconds: float = 600.0,
    ) -> None:
        self._payload, self._size, self._max_pixels = payload, (width, height), max_pixels
        self.index = index_frames(payload, _demuxer(payload), Limits(max_pixels, max_frames, max_seconds))
        self._seeks = bool(self.index.keyframes)
        self._frames: FrameStream = decoded_frames(payload, self.index, max_pixels)
        self._shown: _Shown | None = None

    @classmethod
    def check_installed(cls) -> None:
        """Raises ValueError where a library that this reader needs is absent."""

    def __len__(self) -> int:
        return len(self.index.times)

    def __getitem__(self, number: int) -> Frame:
        """Negative numbers count from the end. Ascending ones are read fastest."""
        return self._raster(self._numbered(number))

    def get_batch(self, indices: Sequence[int]) -> Frame:
        """(n, height, width, 3), in the order asked for; a frame is decoded once, however often it is named."""
        numbers = [self._numbered(number) for number in indices]
        frames = {number: self._raster(number) for number in sorted(set(numbers))}
        return np.stack([frames[number] for number in numbers])

    def get_avg_fps(self) -> float:
        """Frames per second; 0 where the file does not tell."""
        return self.index.rate

    def get_frame_timestamp(self, indices: Sequence[int]) -> Spans:
        """(n, 2) seconds: from when to when each frame is shown, counted from the first frame."""
        numbers = [self._numbered(number) for number in indices]
        return np.array([(self.index.seconds(number), self.index.seconds(number + 1)) for number in numbers])

    def close(self) -> None:
        """Let go of the decoder. It is opened again where another frame is asked for."""
        self._frames.close()
        self._shown = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _numbered(self, number: int) -> int:
        if not -len(self) <= number < len(self):
            raise IndexError(f"frame {number} of a video of {len(self)} frames")
        return number % len(self)

    def _raster(self, number: int) -> Frame:
        frame = self._decoded(number)
        with decoder_faults():
            turns = 0 if frame.rotation % QUARTER else frame.rotation // QUARTER
            width, height = self._size[::-1] if turns % 2 else self._size
            width = width if width > 0 else self.index.width or frame.width
            height = height if height > 0 else self.index.height or frame.height
            raster: Frame = np.asarray(frame.to_ndarray(format="rgb24", width=width, height=height), np.uint8)
        return np.ascontiguousarray(np.rot90(raster, turns))

    def _decoded(self, number: int) -> VideoFrame:
        shown = self._shown
        if shown is None or number < shown.first or self._worth_a_seek(number, shown):
            shown = self._restarted(number)
        while number > shown.last:
            shown = self._next(shown)
        self._shown = shown
        return shown.frame

    def _worth_a_seek(self, number: int, shown: _Shown) -> bool:
        return self._seeks and self.index.key(number) - shown.last > FRAMES_PER_START

    def _restarted(self, number: int) -> _Shown:
        """Start at the last key frame before the wanted one, or at the beginning if that does not lead to it."""
        if self._seeks:
            first = self._first(self.index.times[self.index.key(number)])
            if first is not None and first[0] <= number:
                return _Shown(first[0], *first)
            self._seeks = False  # the file's own index is wrong: other frames would be missed, too
        first = self._first(None)
        if first is None:
            detail = "no frame of the video can be decoded: it is damaged or incomplete, export it again"
            raise UndecodableInput("undecodable_input", detail)
        return _Shown(0, *first)

    def _first(self, time: int | None) -> tuple[int, VideoFrame] | None:
        self.close()
        self._frames = decoded_frames(self._payload, self.index, self._max_pixels, time)
        return next(self._frames, None)

    def _next(self, shown: _Shown) -> _Shown:
        """The next frame, or the last once more for what is missing at the end."""
        position, frame = next(self._frames, (len(self) - 1, shown.frame))
        return _Shown(shown.last + 1, max(position, shown.last + 1), frame)


def _demuxer(payload: bytes) -> str:
    check_not_empty(payload, "video")
    demuxer = container_format(payload)
    if demuxer not in DEMUXERS:
        raise unrecognized(payload, "video", FORMATS)
    return demuxer
