"""Teaching sounds: recordings in class folders, as log-mel filter banks."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from preprocessors.audio import PRESETS, AudioPreprocessor
from training.classification import ClassificationSubject
from training.data import Splits
from training.lesson import Material
from training.recipe import Recipe
from training.recordings import Waveform, WaveformChange, masked, random_window, restyled
from training.samples import TrainingSamples, usable
from training.setting import setting


@dataclass(frozen=True)
class AudioSubject(ClassificationSubject):
    """The statistics by which filter banks are normalised are a preset's, or measured on the training split."""

    task: ClassVar[str] = "classify/audio"
    noun: ClassVar[str] = "audio classifier"
    suffixes: ClassVar[Sequence[str]] = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".mp4", ".aac", ".webm")
    in_chans: ClassVar[int] = 1

    preset: str | None = setting(None, f"Front end preset of a published model: {', '.join(PRESETS)}")
    sample_rate: int = setting(16_000, "Sample rate in Hz; recordings are resampled to it")
    mels: int = setting(128, "Number of mel filters")
    hop_ms: float = setting(10.0, "Hop between frames in milliseconds")
    frames: int = setting(512, "Frames per input; times hop-ms gives the duration")
    layout: str = setting("time_first", "time_first (the paper) or frequency_first (the authors' code)")
    speed: float = setting(0.1, "Maximum relative change of speed and pitch")
    shift: float = setting(0.1, "Maximum time shift, as a fraction of the recording")
    gain: float = setting(6.0, "Maximum change of loudness in dB")
    noise: float = setting(0.3, "Fraction of recordings with added white noise")
    style: float = setting(0.0, "Fraction of recordings with Freq-MixStyle")
    mask_mels: int = setting(24, "SpecAugment: maximum masked mel filters; 0 disables")
    mask_frames: int = setting(24, "SpecAugment: maximum masked frames; 0 disables")

    def material(self, splits: Splits, recipe: Recipe) -> Material:
        from training.augment import BatchAugment

        plain = self.preprocessor()
        heard = [usable(e, lambda b: plain.read(b).waveform) for e in splits.train]
        preprocessor = plain if self.preset else measured(plain, heard)
        change = WaveformChange(self.speed, self.shift, self.gain, self.noise)

        def draw(waveform: Waveform, rng: random.Random, epoch: int) -> Tensor:
            return torch.from_numpy(random_window(change(waveform, rng), preprocessor.window_samples, rng))

        def alter(windows: Tensor) -> Tensor:
            maps = torch.stack([preprocessor.features(window) for window in windows])[:, None]
            if self.style:
                maps = restyled(maps, self.style)
            maps = masked(maps, 3, self.mask_mels, preprocessor.mean)
            return masked(maps, 2, self.mask_frames, preprocessor.mean)

        return Material(
            preprocessor=preprocessor,
            training=TrainingSamples(heard, [e.class_id for e in splits.train], recipe.seed, draw),
            augment=BatchAugment(self, len(splits.labels), alter),
            normalise=preprocessor.laid_out,
        )

    def preprocessor(self) -> AudioPreprocessor:
        """Raises ValueError for an unknown preset."""
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(f"preset {self.preset!r} is unknown, expected one of {', '.join(PRESETS)}")
        chosen: dict[str, Any] = PRESETS[self.preset] if self.preset else {"target_frames": self.frames}
        return AudioPreprocessor(
            sample_rate=self.sample_rate, n_mels=self.mels, hop_length_ms=self.hop_ms, layout=self.layout, **chosen
        )


def measured(preprocessor: AudioPreprocessor, heard: Sequence[Waveform]) -> AudioPreprocessor:
    """With the mean and the deviation of the filter bank over all frames heard."""
    rows = torch.cat([preprocessor.filter_bank(torch.from_numpy(waveform)) for waveform in heard])
    return replace(preprocessor, mean=round(rows.mean().item(), 6), std=round(rows.std().item(), 6))
