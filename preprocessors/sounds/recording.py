"""Encoded recordings -> one mono waveform at the rate that is asked for, from bytes that nobody vouches for."""

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from preprocessors.base import TooLarge, UndecodableInput
from preprocessors.container import container_format
from preprocessors.formats import check_not_empty, unrecognized
from preprocessors.sounds.sound import Block, Sound
from preprocessors.sounds.sound_file import open_sound_file
from preprocessors.sounds.sound_track import DEMUXERS, open_sound_track

FORMATS = ("wav", "flac", "mp3", "ogg", "m4a", "mp4", "aac", "webm", "mkv")
# WAV in either byte order and its 64-bit form, FLAC, Ogg, and MP3: a tag before it, or the sync word of layer 2 or 3
SOUND_FILE = re.compile(rb"(?:RIFF|RIFX|RF64).{4}WAVE|fLaC|OggS|ID3|\xff[\xe2\xe3\xf2-\xf5\xfa-\xfd]", re.DOTALL)
# Forty decibels over full scale, more headroom than a recorder has. What goes beyond is not loud but of another scale:
# integers that were stored as floats reach 128 or 32768, and to the model they are another sound.
HIGHEST_PEAK = 100.0

Waveform = NDArray[np.float32]


@dataclass(frozen=True)
class Recording:
    """waveform: (samples,), at the rate that was asked for. sample_rate in Hz and channels: of the file."""

    waveform: Waveform
    format: str
    sample_rate: int
    channels: int


def read_recording(payload: bytes, sample_rate: int, max_seconds: float) -> Recording:
    """The mean of the channels, resampled. Memory is bounded by the seconds, whatever the rate and the channels.

    Raises PayloadError: for bytes that are no recording, samples that are no sound, and more than `max_seconds`.
    """
    with _open(payload) as sound:
        _check_declared(sound, max_seconds)
        waveform = _resampled(_mono(sound, max_seconds), sound.sample_rate, sample_rate)
        return Recording(waveform, sound.format, sound.sample_rate, sound.channels)


def _open(payload: bytes) -> AbstractContextManager[Sound]:
    """The first bytes decide which library sees the rest."""
    check_not_empty(payload, "audio")
    if SOUND_FILE.match(payload):
        return open_sound_file(payload)
    demuxer = container_format(payload)
    if demuxer in DEMUXERS:
        return open_sound_track(payload, demuxer)
    raise unrecognized(payload, "audio", FORMATS)


def _mono(sound: Sound, max_seconds: float) -> Iterator[Waveform]:
    frames = 0
    for block in sound.blocks:
        frames += len(block)
        _check_length(frames, sound.sample_rate, max_seconds)
        _check_scale(block)
        yield block.mean(axis=1)


def _resampled(blocks: Iterable[Waveform], rate: int, wanted: int) -> Waveform:
    """One sharp low-pass filter for every pair of rates; its cost does not grow with the terms of their ratio."""
    stream = soxr.ResampleStream(rate, wanted, num_channels=1)
    pieces = [stream.resample_chunk(block) for block in blocks]
    return np.concatenate([*pieces, stream.resample_chunk(np.empty(0, np.float32), last=True)])


def _check_declared(sound: Sound, max_seconds: float) -> None:
    """What the header says of the length, before a sample is decoded."""
    if sound.frames == 0:
        detail = (
            f"the {sound.format} header declares no samples: the file was never finished, or holds nothing; save it "
            "again"
        )
        raise UndecodableInput("too_short", detail, actual=0)
    _check_length(sound.frames or 0, sound.sample_rate, max_seconds)


def _check_length(frames: int, rate: int, max_seconds: float) -> None:
    seconds = frames / rate
    if seconds > max_seconds:
        detail = f"the recording is {seconds:.1f} seconds long or longer, at most {max_seconds:g} are read: cut it"
        raise TooLarge("too_long", detail, max_seconds, seconds)


def _check_scale(block: Block) -> None:
    peak = float(np.abs(block).max(initial=0.0))
    if not np.isfinite(peak):
        detail = "the recording has samples that are no finite numbers: export it again"
        raise UndecodableInput("undecodable_input", detail)
    if peak > HIGHEST_PEAK:
        detail = (
            f"samples reach {peak:g} where full scale is 1, at most {HIGHEST_PEAK:g} is read: scale them to [-1, 1]"
        )
        raise UndecodableInput("undecodable_input", detail, HIGHEST_PEAK, peak)
