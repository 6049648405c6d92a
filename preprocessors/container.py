"""Recordings in FFmpeg's containers, from bytes that nobody vouches for.

FFmpeg guesses formats, and some of the formats that it guesses are letters to itself: playlists that name files and
addresses to open, session descriptions that bind a port. So the first bytes decide here, among formats that hold their
own data, and nothing but those bytes can be read.
"""

import io
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from preprocessors.base import UndecodableInput
from preprocessors.faults import refused

__all__ = ["best_stream", "container_format", "decoder_faults", "file_format", "open_container"]

SIGNATURES = {
    "mov": rb".{4}(?:ftyp|moov|mdat|free|skip|wide|pnot)",
    "matroska": rb"\x1a\x45\xdf\xa3",
    "avi": rb"RIFF.{4}AVI[ X\x19]",
    "gif": rb"GIF8[79]a",
    "mpegts": rb"(?:\x47.{187}){2}\x47|\x47.{187}(?:\x47.{187})?\Z",  # 188 bytes a packet, each with its sync byte
    "aac": rb"\xff[\xf0\xf1\xf8\xf9]",  # ADTS: twelve set bits, and layer 0, which no MP3 has
}
SIGNATURE = re.compile(b"|".join(b"(?P<%s>%s)" % (name.encode(), s) for name, s in SIGNATURES.items()), re.DOTALL)
NAMES = {"mov": "mp4", "matroska": "mkv", "mpegts": "ts"}
DIALECTS = {"mov": (("mov", b"ftypqt  "), ("m4a", b"ftypM4A")), "matroska": (("webm", b"webm"),)}
# Of FFmpeg's five hundred decoders, by their names there; nothing else is shown to strangers, not even to guess at a
# stream's size or rate.
VIDEO_DECODERS = ("h264", "hevc", "vp8", "vp9", "libdav1d", "av1", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg", "gif",
                  "h263", "msmpeg4", "msmpeg4v2", "prores", "dvvideo")  # fmt: skip
AUDIO_DECODERS = ("aac", "alac", "mp3float", "mp2float", "opus", "libopus", "vorbis", "flac", "ac3", "eac3", "amrnb",
                  "amrwb", "pcm_u8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be",
                  "pcm_f32le", "pcm_f32be", "pcm_mulaw", "pcm_alaw")  # fmt: skip
DECODERS = VIDEO_DECODERS + AUDIO_DECODERS
MAX_STREAMS = 16
PADDING = 1 << 16
OPTIONS = {"protocol_whitelist": "none", "max_streams": str(MAX_STREAMS)}
# What PyAV and the libraries under it raise on broken files, beside FFmpegError: properties that are absent, timestamps
# out of range, text that is no text.
FAULTS = (av.FFmpegError, OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, EOFError)


def container_format(payload: bytes) -> str | None:
    """FFmpeg's name of the demuxer that reads these bytes, by the first of them; None for any other format."""
    match = SIGNATURE.match(payload)
    return match.lastgroup if match else None


def file_format(payload: bytes) -> str:
    """The format by the name that people use, such as "mp4" or "webm"; for payloads that `container_format` knows."""
    demuxer = container_format(payload) or ""
    return next((name for name, mark in DIALECTS.get(demuxer, ()) if mark in payload[:64]), NAMES.get(demuxer, demuxer))


@contextmanager
def open_container(payload: bytes, demuxer: str, max_pixels: int, probe: bool = True) -> Iterator[InputContainer]:
    """The demuxed payload, closed at the end; what PyAV raises within the block leaves it as a PayloadError.

    max_pixels: FFmpeg decodes no frame of much over twice as many, not even as the file is opened; up to there it is
    for the caller to refuse, for FFmpeg counts the padding of a codec's blocks. probe: whether to decode a little as
    the file is opened, to learn what its header does not say; to do without is faster, and safer.
    """
    with decoder_faults():
        bound = {"max_pixels": str(2 * max_pixels + PADDING)}
        bounds: list[Any] = [bound] * MAX_STREAMS  # PyAV's stub says list[str]; its code takes dicts, and wants them
        with av.open(
            io.BytesIO(payload),
            "r",
            format=demuxer,
            options=OPTIONS | {"codec_whitelist": ",".join(DECODERS) if probe else "none"},
            stream_options=bounds,
            metadata_errors="ignore",
        ) as container:
            for stream in container.streams:
                if stream.codec_context is not None:
                    stream.codec_context.options = bound
                    stream.codec_context.thread_count = 1
            yield container


def best_stream(container: InputContainer, kind: Literal["video", "audio"], decoders: tuple[str, ...]) -> Stream:
    """The stream of this kind ("video", "audio") that a player would play. A cover picture is no video."""
    stream = container.streams.best(kind)
    if stream is None or stream.disposition & Disposition.attached_pic:
        raise UndecodableInput("undecodable_input", f"the file holds no {kind}: send one that does")
    if stream.codec_context is None or stream.codec_context.name not in decoders:
        name = "an unknown codec" if stream.codec_context is None else stream.codec_context.name
        detail = f"the {kind} is encoded with {name}, which is not read here: use one of {', '.join(decoders)}"
        raise UndecodableInput("undecodable_input", detail)
    return stream


def decoder_faults() -> AbstractContextManager[None]:
    """Turn whatever PyAV raises into a PayloadError; its own lack of memory is a MemoryError, too."""
    memory = "the decoder ran out of memory on this file: scale it down or shorten it, and send it again"
    return refused(FAULTS, _refusal, memory)


def _refusal(error: Exception) -> UndecodableInput:
    reason = error.strerror if isinstance(error, av.FFmpegError) else error  # without the name of a file: it has none
    detail = f"the file cannot be decoded ({reason}): it is damaged or incomplete, export it again"
    return UndecodableInput("undecodable_input", detail)
