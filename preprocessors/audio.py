"""Recordings: encoded file -> mono windows -> log-mel filter banks, normalised over the training data's statistics.

The front end is the authors' (Audio/src/dataloader.py; paper section 4.3), except that a recording is resampled and its
channels are mixed, where theirs takes a file's rate as it is and hears the first channel only.
"""

import wave
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from preprocessors.base import Array, Preprocessor, Sample, UndecodableInput
from preprocessors.sounds.filter_bank import FilterBank
from preprocessors.sounds.recording import Recording, Waveform, read_recording

if TYPE_CHECKING:
    from torch import Tensor

# Constructor arguments by the data set that a model is trained on
PRESETS: dict[str, dict[str, Any]] = {
    "speech_commands_v2": {"target_frames": 128, "mean": -6.845978, "std": 5.5654526},
    "audioset": {"target_frames": 1024, "mean": -4.2677393, "std": 4.5689974},
    "esc50": {"target_frames": 512, "mean": -6.6268077, "std": 5.358466},
}
# Axes of (N, 1, T, F) in the order that the model sees them: the paper's (equation 3), and that of the authors' code
LAYOUTS = {"time_first": (0, 1, 2, 3), "frequency_first": (0, 1, 3, 2)}


@dataclass(frozen=True)
class AudioOptions:
    """What a request may ask of the decoding."""

    windows: int = field(
        default=1,
        metadata={
            "description": "How many windows, spread evenly from start to end, a recording that is longer than one is "
            "heard in; 1: its start only",
            "ge": 1,
            "le": 32,
        },
    )


@dataclass(frozen=True)
class AudioPreprocessor(Preprocessor[AudioOptions]):
    """sample_rate in Hz. n_mels: filters. target_frames: the length T of the map, shorter recordings are padded to it.

    mean, std: of the filter bank over the training data. layout: a key of LAYOUTS. max_seconds: longest recording.
    """

    modality: ClassVar[str] = "audio"
    media_types: ClassVar[tuple[str, ...]] = (
        "audio/wav",
        "audio/flac",
        "audio/mpeg",
        "audio/ogg",
        "audio/mp4",
        "audio/webm",
        "audio/aac",
    )
    option_type: ClassVar[type] = AudioOptions

    sample_rate: int = 16_000
    n_mels: int = 128
    frame_length_ms: float = 25.0
    hop_length_ms: float = 10.0
    target_frames: int = 1024
    mean: float = -4.2677393
    std: float = 4.5689974
    layout: str = "time_first"
    max_seconds: float = 600.0

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(f"the layout {self.layout!r} is unknown: use one of {', '.join(LAYOUTS)}")

    @property
    def filter_bank(self) -> FilterBank:
        return FilterBank(self.sample_rate, self.n_mels, self.frame_length_ms, self.hop_length_ms)

    @property
    def window_samples(self) -> int:
        """Samples that `target_frames` frames span."""
        return self.filter_bank.samples(self.target_frames)

    def decode(self, payload: bytes, options: AudioOptions) -> Sample:
        """Views of (window_samples,) float32 with zero mean over the recording; NaN stands behind its end."""
        recording = self.read(payload)
        waveform = recording.waveform
        starts = self._starts(len(waveform), options.windows)
        heard = [self._interval(start, len(waveform)) for start in starts]
        views = tuple(self._window(waveform, start) for start in starts)
        description = self._description(recording) | {
            "start_s": heard[0]["start_s"],
            "end_s": heard[-1]["end_s"],
            "peak": _peak(views),
            "bytes": len(payload),
        }
        if len(views) > 1:
            description["views"] = heard
        return Sample(views, description)

    def read(self, payload: bytes) -> Recording:
        """The whole recording, its mean removed. Raises PayloadError."""
        recording = read_recording(payload, self.sample_rate, self.max_seconds)
        self._check_not_too_short(len(recording.waveform))
        return replace(recording, waveform=recording.waveform - recording.waveform.mean())

    def blank(self) -> Array:
        return np.zeros(self.window_samples, np.float32)

    def example(self) -> bytes:
        """As long as a window, at half the rate, so that it is resampled."""
        file = BytesIO()
        with wave.open(file, "wb") as recording:
            recording.setparams((1, 2, self.sample_rate // 2, 0, "NONE", ""))
            recording.writeframes(bytes(self.window_samples))
        return file.getvalue()

    def transform(self, batch: "Tensor") -> "Tensor":
        """(N, window_samples) -> (N, 1, target_frames, n_mels), or with the last axes swapped; see `layout`."""
        import torch

        # clip by clip: a matrix product's rounding depends on its size, and an answer shall not on its neighbours
        return self.laid_out(torch.stack([self.features(clip) for clip in batch])[:, None])

    def features(self, waveform: "Tensor") -> "Tensor":
        """(samples,), NaN behind its end -> (target_frames, n_mels) filter bank, cut, or padded with rows of zeros.

        Not normalised yet. Raises ValueError for less than one frame.
        """
        import torch

        samples = int(waveform.isnan().logical_not().sum())
        rows = self.filter_bank(waveform[: min(samples, self.window_samples)])
        padding = rows.new_zeros(self.target_frames - len(rows), self.n_mels)
        return torch.cat((rows, padding))

    def laid_out(self, banks: "Tensor") -> "Tensor":
        """(N, 1, T, F) filter banks -> the model's map: mean 0, deviation 1/2 over the training data, axes by layout.

        Padding becomes -mean / (2 std), as the original's does.
        """
        return ((banks - self.mean) / (2 * self.std)).permute(LAYOUTS[self.layout]).contiguous()

    def _check_not_too_short(self, samples: int) -> None:
        shortest = self.filter_bank.frame_length
        if samples < shortest:
            seconds, least = samples / self.sample_rate, shortest / self.sample_rate
            detail = f"the recording is {seconds:.4f} seconds long, one frame takes {least:g}: send a longer one"
            raise UndecodableInput("too_short", detail, least, seconds)

    def _starts(self, samples: int, windows: int) -> list[int]:
        last = samples - self.window_samples
        return [round(start) for start in np.linspace(0, last, windows)] if last > 0 else [0]

    def _window(self, waveform: Waveform, start: int) -> NDArray[np.float32]:
        window = np.full(self.window_samples, np.nan, np.float32)
        piece = waveform[start : start + self.window_samples]
        window[: len(piece)] = piece
        return window

    def _interval(self, start: int, samples: int) -> dict[str, float]:
        end = min(start + self.window_samples, samples)
        return {"start_s": round(start / self.sample_rate, 3), "end_s": round(end / self.sample_rate, 3)}

    def _description(self, recording: Recording) -> dict[str, Any]:
        samples = len(recording.waveform)
        return {
            "format": recording.format,
            "sample_rate": recording.sample_rate,
            "channels": recording.channels,
            "duration_s": round(samples / self.sample_rate, 3),
            "frames": min(self.filter_bank.frames(samples), self.target_frames),
        }


def _peak(views: Sequence[NDArray[np.float32]]) -> float:
    """How loud the loudest sample that is heard is, to three digits; full scale is 1, and silence 0."""
    return float(f"{max(np.nanmax(np.abs(view)) for view in views):.3g}")
