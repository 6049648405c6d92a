"""AAC and what else sounds in MP4 (M4A), Matroska (WebM) and ADTS files, by FFmpeg, from memory and frame by frame."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import cast

from av import AudioFrame, AudioResampler
from av.container import InputContainer
from av.stream import Stream

from preprocessors.base import UndecodableInput
from preprocessors.container import AUDIO_DECODERS, best_stream, file_format, open_container
from preprocessors.sounds.sound import BLOCK_FRAMES, Block, Sound

DEMUXERS = ("mov", "matroska", "aac")  # by FFmpeg's names
MAX_PIXELS = 1  # no picture is wanted


@contextmanager
def open_sound_track(payload: bytes, demuxer: str) -> Iterator[Sound]:
    """Decode the first frame, whose rate is right where the header's is half of it (HE-AAC). Raises PayloadError."""
    with open_container(payload, demuxer, MAX_PIXELS) as container:
        frames = _frames(container, best_stream(container, "audio", AUDIO_DECODERS))
        first = next(frames, None)
        if first is None:
            raise UndecodableInput("undecodable_input", "the sound track holds no sound: export the recording again")
        blocks = _blocks(first, frames)
        yield Sound(file_format(payload), first.sample_rate, first.layout.nb_channels, None, blocks)


def _frames(container: InputContainer, track: Stream) -> Iterator[AudioFrame]:
    for packet in container.demux(track):
        for frame in packet.decode():
            yield cast(AudioFrame, frame)


def _blocks(first: AudioFrame, frames: Iterator[AudioFrame]) -> Iterator[Block]:
    # Of the numbers only: its mono is 3 dB louder than the mean of the channels
    convert = AudioResampler(format="fltp", frame_size=BLOCK_FRAMES)
    for frame in chain(_alike(first, frames), [None]):
        for planar in convert.resample(frame):
            yield cast(Block, planar.to_ndarray()).T


def _alike(first: AudioFrame, frames: Iterator[AudioFrame]) -> Iterator[AudioFrame]:
    expected = (first.sample_rate, first.layout.nb_channels)
    for frame in chain([first], frames):
        found = (frame.sample_rate, frame.layout.nb_channels)
        if found != expected:
            detail = (
                f"(rate, channels) turn from {expected} to {found} within the recording: export it with one of them"
            )
            raise UndecodableInput("undecodable_input", detail)
        yield frame
