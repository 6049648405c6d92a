"""Decoded frames of a video, one after the other, each with its number."""

from collections.abc import Generator
from contextlib import closing, suppress
from itertools import islice

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from preprocessors.base import UndecodableInput
from preprocessors.container import open_container
from preprocessors.videos.frame_index import FrameIndex, check_pixels, packets_of, video_stream

MOST_CORRUPT = 0.1  # of a file's frames; beyond that, what is shown is more guessed than seen

FrameStream = Generator[tuple[int, VideoFrame]]


def decoded_frames(payload: bytes, index: FrameIndex, max_pixels: int, time: int | None = None) -> FrameStream:
    """Numbers and frames from the key frame at this time on, or from the beginning; ascending in whole files.

    Packets that cannot be decoded leave a gap in the numbers, if they are few. Raises PayloadError. The container is
    open until the stream is closed, or at its end.
    """
    with open_container(payload, index.demuxer, max_pixels) as container:
        stream = video_stream(container)
        if time is not None:
            _seek(container, stream, time)
        with closing(
            _decoded(container, stream, len(index.times))
        ) as frames:  # before its container: PyAV would read what is freed
            for count, frame in enumerate(frames):
                check_pixels(frame.width, frame.height, max_pixels)
                yield count if index.ordered or frame.pts is None else index.position(frame.pts), frame


def _seek(container: InputContainer, stream: VideoStream, time: int) -> None:
    """To a key frame. The first packet is decoded before: encoders sign it, and FFmpeg makes up for their old bugs."""
    with closing(packets_of(container, stream)) as packets, suppress(av.FFmpegError):
        for packet in islice(packets, 1):
            packet.decode()
    container.seek(time, stream=stream)


def _decoded(container: InputContainer, stream: VideoStream, frames: int) -> Generator[VideoFrame]:
    corrupt, bearable = 0, max(1, int(MOST_CORRUPT * frames))
    for packet in packets_of(container, stream):
        try:
            yield from packet.decode()
        except av.FFmpegError as error:
            corrupt += 1
            if corrupt > bearable:
                detail = (
                    f"more than {bearable} of the video's {frames} frames cannot be decoded: it is damaged, export it "
                    "again"
                )
                raise UndecodableInput("undecodable_input", detail) from error
