"""WAV, FLAC, MP3 and Ogg (Vorbis, Opus, FLAC) by libsndfile, from memory and piece by piece."""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import cast

import numpy as np
import soundfile

from preprocessors.base import UndecodableInput, UnsupportedFormat
from preprocessors.faults import refused
from preprocessors.sounds.sound import BLOCK_FRAMES, Block, Sound

# libsndfile opens two dozen formats by their first bytes; these are the ones that people upload
FORMATS = {"WAV": "wav", "WAVEX": "wav", "RF64": "wav", "FLAC": "flac", "MP3": "mp3", "OGG": "ogg"}
ESTIMATED = {"MP3"}  # whose length libsndfile guesses at from the first frames
UNKNOWN_LENGTH = 2**63 - 1  # what it says of a FLAC that was written to a pipe
# What libsndfile says where it has nothing better to say, and what it means of bytes in memory
REWORDED = {"File does not exist or is not a regular file (possibly a pipe?).": "no frame of sound is found in it"}
# What soundfile raises on broken files
FAULTS = (soundfile.SoundFileError, OSError, ValueError, TypeError, AssertionError)


class SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """Read from start to end. soundfile seeks after every block of others, which fails where the length is unknown."""

    def seekable(self) -> bool:
        return False


@contextmanager
def open_sound_file(payload: bytes) -> Iterator[Sound]:
    """Read the header; the rest is decoded as `blocks` is read, within this context. Raises PayloadError."""
    with sound_file_faults():
        file = SequentialFile(io.BytesIO(payload))
    with file:
        if file.format not in FORMATS:
            detail = (
                f"this is {file.format}, which is not read: send one of {', '.join(dict.fromkeys(FORMATS.values()))}"
            )
            raise UnsupportedFormat("unsupported_media_type", detail)
        declared = None if file.format in ESTIMATED or file.frames == UNKNOWN_LENGTH else file.frames
        yield Sound(FORMATS[file.format], file.samplerate, file.channels, declared, _blocks(file))


def _blocks(file: SequentialFile) -> Iterator[Block]:
    buffer = np.empty((BLOCK_FRAMES, file.channels), np.float32)
    while len(block := _read(file, buffer)):
        yield block


def _read(file: SequentialFile, buffer: Block) -> Block:
    with sound_file_faults():
        return cast(Block, file.read(out=buffer))


def sound_file_faults() -> AbstractContextManager[None]:
    """Turn whatever soundfile raises into a PayloadError."""
    memory = "the decoder ran out of memory on this recording: shorten it and send it again"
    return refused(FAULTS, _refusal, memory)


def _refusal(error: Exception) -> UndecodableInput:
    reason = str(getattr(error, "error_string", error))  # without the address of the file object
    reason = REWORDED.get(reason, reason)
    detail = f"the recording cannot be decoded ({reason}): the file is damaged or incomplete, export it again"
    return UndecodableInput("undecodable_input", detail)
