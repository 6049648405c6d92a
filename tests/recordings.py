"""Recordings that tests make for themselves."""

import io
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.oracle import Case, symmetric

Samples = NDArray[np.float32]


def tone(hertz: float, seconds: float, rate: int, level: float = 0.3) -> Samples:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def chirp(seconds: float, rate: int) -> Samples:
    """From 200 Hz upwards by 1 kHz in a second: every moment of it sounds different."""
    t = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * (200 * t + 500 * t**2))).astype(np.float32)


def stored(case: Case) -> Samples:
    """What the authors' front end was given, at 16 kHz, by the rule of the stored case."""
    n = case.about["samples"]
    t = np.arange(n) / 16_000
    swell = 0.3 * (0.2 + 0.8 * np.abs(np.sin(2 * np.pi * 3 * t)))
    noise = 0.02 * symmetric(f"input/{case.about['case']}", (n,))
    return (noise + swell * np.sin(2 * np.pi * (300 * t + 400 * t**2)) + 0.01).astype(np.float32)


def sound_file(samples: Samples, rate: int, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """(samples,) or (samples, channels), encoded by libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def sound_track(samples: Samples, rate: int, muxer: str, codec: str, pictures: int = 0) -> bytes:
    """The same, encoded by FFmpeg, behind a video track if `pictures` are asked for."""
    planar = np.ascontiguousarray(np.atleast_2d(samples.T))
    layout = {1: "mono", 2: "stereo"}[len(planar)]
    file = io.BytesIO()
    with av.open(file, "w", format=muxer) as container:
        video = container.add_stream("mpeg4", rate=25, width=64, height=48, pix_fmt="yuv420p") if pictures else None
        stream: Any = container.add_stream(codec, rate=rate, layout=layout)
        for number in range(pictures):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8))
            container.mux(video.encode(picture))  # type: ignore[union-attr]
        whole = av.AudioFrame.from_ndarray(planar, "fltp", layout)
        whole.sample_rate = rate
        cut = av.AudioResampler(stream.format.name, frame_size=stream.codec_context.frame_size or 1024)
        for frame in [*cut.resample(whole), *cut.resample(None), None]:
            container.mux(stream.encode(frame))
        if video:
            container.mux(video.encode(None))
    return file.getvalue()


LOSSLESS: dict[str, Callable[[Samples, int], bytes]] = {
    "wav": lambda samples, rate: sound_file(samples, rate),
    "wav float": lambda samples, rate: sound_file(samples, rate, "WAV", "FLOAT"),
    "wav extensible": lambda samples, rate: sound_file(samples, rate, "WAVEX", "PCM_24"),
    "wav 64": lambda samples, rate: sound_file(samples, rate, "RF64"),
    "flac": lambda samples, rate: sound_file(samples, rate, "FLAC"),
    "alac": lambda samples, rate: sound_track(samples, rate, "ipod", "alac"),
    "mov": lambda samples, rate: sound_track(samples, rate, "mov", "pcm_s16le"),
}
LOSSY: dict[str, Callable[[Samples, int], bytes]] = {
    "mp3": lambda samples, rate: sound_file(samples, rate, "MP3"),
    "vorbis": lambda samples, rate: sound_file(samples, rate, "OGG", "VORBIS"),
    "opus": lambda samples, rate: sound_file(samples, rate, "OGG", "OPUS"),
    "m4a": lambda samples, rate: sound_track(samples, rate, "ipod", "aac"),
    "mp4": lambda samples, rate: sound_track(samples, rate, "mp4", "aac"),
    "adts": lambda samples, rate: sound_track(samples, rate, "adts", "aac"),
    "webm": lambda samples, rate: sound_track(samples, rate, "webm", "libopus"),
}
ENCODERS = LOSSLESS | LOSSY
FORMATS = {
    "wav": "wav", "wav float": "wav", "wav extensible": "wav", "wav 64": "wav", "flac": "flac", "alac": "m4a",
    "mov": "mov", "mp3": "mp3", "vorbis": "ogg", "opus": "ogg", "m4a": "m4a", "mp4": "mp4", "adts": "aac",
    "webm": "webm",
}  # fmt: skip
