"""Where the frames of a video lie in time, found without decoding one."""

from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.stream import VideoStream

from preprocessors.base import TooLarge, UndecodableInput
from preprocessors.container import VIDEO_DECODERS, best_stream, open_container

SEEKABLE = frozenset({"mov", "matroska"})  # where FFmpeg seeks to a key frame by an index; elsewhere it guesses
UNTIMED = frozenset({"avi"})  # whose packets say when they are decoded, not when they are shown


@dataclass(frozen=True)
class Limits:
    """pixels: width x height of a frame. frames: in the file. seconds: from the first frame to the end of the last."""

    pixels: int
    frames: int
    seconds: float


@dataclass(frozen=True)
class FrameIndex:
    """Frames in order of presentation. `times` and `end` count units of `time_base` seconds.

    end: when the last frame ends. keyframes: numbers of the frames where decoding can start; none where it must start
    with the first.
    ordered: frames are told apart by the order in which they come, for their times do not tell.
    rate: frames per second as the header has it, or on average; 0 where that is unknown, or all have one time.
    width, height: as stored, before any rotation; 0 where the header does not tell.
    """

    demuxer: str
    times: tuple[int, ...]
    end: int
    keyframes: tuple[int, ...]
    ordered: bool
    time_base: Fraction
    rate: float
    codec: str
    width: int
    height: int

    def position(self, time: int) -> int:
        """Number of the frame shown at this time, or next after it."""
        return min(bisect_left(self.times, time), len(self.times) - 1)

    def key(self, position: int) -> int:
        """Number of the last key frame up to this frame, or of the first frame."""
        number = bisect_right(self.keyframes, position)
        return self.keyframes[number - 1] if number else 0

    def seconds(self, position: int) -> float:
        """When the frame is shown, counted from the first; `len(times)` asks when the last one ends."""
        time = self.times[position] if position < len(self.times) else self.end
        return float((time - self.times[0]) * self.time_base)


def index_frames(payload: bytes, demuxer: str, limits: Limits) -> FrameIndex:
    """Read through the file once. Raises TooLarge where it exceeds a limit, UndecodableInput where it has no frame."""
    with open_container(payload, demuxer, limits.pixels, probe=False) as container:
        stream = video_stream(container)
        check_pixels(stream.codec_context.width, stream.codec_context.height, limits.pixels)
        index = _indexed(_counted(_entries(container, stream), limits.frames), stream, demuxer)
    seconds = index.seconds(len(index.times))
    if seconds > limits.seconds:
        detail = f"the video lasts {seconds:.1f} s, at most {limits.seconds:g} s are read: cut it"
        raise TooLarge("too_long", detail, limits.seconds, seconds)
    return index


def video_stream(container: InputContainer) -> VideoStream:
    """The stream that is shown; the others are read past."""
    stream = best_stream(container, "video", VIDEO_DECODERS)
    for other in container.streams:
        other.discard = Discard.default if other.index == stream.index else Discard.all
    return container.streams.video[[video.index for video in container.streams.video].index(stream.index)]


def packets_of(container: InputContainer, stream: VideoStream) -> "Generator[Packet[VideoStream]]":
    """Up to the end, or to where the file is too broken to go on; the last one is empty, and flushes the decoder."""
    try:
        yield from container.demux(stream)
    except av.FFmpegError:
        return


@dataclass(frozen=True)
class _Entry:
    """What counts of a packet."""

    time: int
    duration: int
    keyframe: bool
    timed: bool


def _entries(container: InputContainer, stream: VideoStream) -> Iterator[_Entry]:
    """Of the packets that show a frame. An edit list hides others, which are there to decode these."""
    for packet in packets_of(container, stream):
        if packet.size and not packet.is_discard:
            time = packet.dts if packet.pts is None else packet.pts
            yield _Entry(time or 0, packet.duration or 0, packet.is_keyframe, packet.pts is not None)


def _counted(entries: Iterator[_Entry], max_frames: int) -> list[_Entry]:
    counted = list(islice(entries, max_frames + 1))
    if not counted:
        raise UndecodableInput("undecodable_input", "the video holds no frame: it is damaged, export it again")
    if len(counted) > max_frames:
        detail = f"the video has more than {max_frames} frames, which is all that are read: cut it"
        raise TooLarge("too_many_frames", detail, max_frames, len(counted))
    return counted


def _indexed(entries: Sequence[_Entry], stream: VideoStream, demuxer: str) -> FrameIndex:
    shown = sorted(entries, key=lambda entry: entry.time)
    times = tuple(entry.time for entry in shown)
    told_apart = all(entry.timed for entry in shown) and all(now < then for now, then in pairwise(times))
    ordered = demuxer in UNTIMED or not told_apart
    seekable = demuxer in SEEKABLE and not ordered
    base = stream.time_base or Fraction(1)
    rate = _rate(times, base, stream)
    last = shown[-1].duration or (round(1 / (rate * base)) if rate else 0)
    context = stream.codec_context
    return FrameIndex(
        demuxer=demuxer,
        times=times,
        end=times[-1] + last,
        keyframes=tuple(place for place, entry in enumerate(shown) if entry.keyframe) if seekable else (),
        ordered=ordered,
        time_base=base,
        rate=rate,
        codec=context.codec.canonical_name,
        width=context.width,
        height=context.height,
    )


def _rate(times: Sequence[int], base: Fraction, stream: VideoStream) -> float:
    """Frames per second; 0 where they are all shown at once, whatever the header says of them."""
    span = times[-1] - times[0]
    if len(times) > 1 and not span:
        return 0.0
    return float(stream.average_rate or 0) or (len(times) - 1) / float(span * base or 1)


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Raises TooLarge for a frame of more than `max_pixels`."""
    if width * height > max_pixels:
        detail = (
            f"frames of {width} x {height} are {width * height} pixels, at most {max_pixels} are decoded: scale down"
        )
        raise TooLarge("too_many_pixels", detail, max_pixels, width * height)
