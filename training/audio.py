"""Training audio classifiers: recordings in class folders, as log-mel filter banks."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from preprocessors.audio import PRESETS, AudioPreprocessor
from training.classification import ClassificationTask
from training.example_reader import read_example
from training.recipe import Recipe
from training.recordings import Waveform, WaveformAugment, freq_mixstyle, mask_band, random_window
from training.setting import setting
from training.splits import Splits
from training.training_data import TrainingData
from training.training_dataset import TrainingDataset

# What is chosen where neither a flag nor a preset says otherwise; and the flags that do
FRONT_END: dict[str, Any] = {"sample_rate": 16_000, "n_mels": 128, "hop_length_ms": 10.0, "target_frames": 512}
FLAGS = dict(zip(FRONT_END, ("--sample-rate", "--mels", "--hop-ms", "--frames"), strict=True))


@dataclass(frozen=True)
class AudioClassification(ClassificationTask):
    """The statistics by which filter banks are normalised are a preset's, or measured on the training split."""

    name: ClassVar[str] = "classify/audio"
    noun: ClassVar[str] = "audio classifier"
    preprocessor_type = AudioPreprocessor
    suffixes: ClassVar[Sequence[str]] = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".mp4", ".aac", ".webm")
    in_chans: ClassVar[int] = 1

    preset: str | None = setting(None, f"Front end preset of a published model: {', '.join(PRESETS)}")
    sample_rate: int | None = setting(
        None, f"Sample rate in Hz; recordings are resampled to it; default {FRONT_END['sample_rate']}"
    )
    mels: int | None = setting(None, f"Number of mel filters; default {FRONT_END['n_mels']}")
    hop_ms: float | None = setting(None, f"Hop between frames in milliseconds; default {FRONT_END['hop_length_ms']:g}")
    frames: int | None = setting(
        None, f"Frames per input; times hop-ms gives the duration; default {FRONT_END['target_frames']}"
    )
    layout: str = setting("time_first", "time_first (the paper) or frequency_first (the authors' code)")
    speed: float = setting(0.1, "Maximum relative change of speed and pitch")
    shift: float = setting(0.1, "Maximum time shift, as a fraction of the recording")
    gain: float = setting(6.0, "Maximum change of loudness in dB")
    noise: float = setting(0.3, "Fraction of recordings with added white noise")
    style: float = setting(0.0, "Fraction of recordings with Freq-MixStyle")
    mask_mels: int = setting(24, "SpecAugment: maximum masked mel filters; 0 disables")
    mask_frames: int = setting(24, "SpecAugment: maximum masked frames; 0 disables")

    def training_data(self, splits: Splits, recipe: Recipe) -> TrainingData:
        from training.augment import BatchAugment

        plain = self.preprocessor()
        waveforms = [read_example(e, lambda b: plain.read(b).waveform) for e in splits.train]
        preprocessor = plain if self.preset else with_measured_statistics(plain, waveforms)
        augment = WaveformAugment(self.speed, self.shift, self.gain, self.noise)

        def draw(waveform: Waveform, rng: random.Random, epoch: int) -> Tensor:
            return torch.from_numpy(random_window(augment(waveform, rng), preprocessor.window_samples, rng))

        def per_sample(windows: Tensor) -> Tensor:
            maps = torch.stack([preprocessor.features(window) for window in windows])[:, None]
            if self.style:
                maps = freq_mixstyle(maps, self.style)
            maps = mask_band(maps, 3, self.mask_mels, preprocessor.mean)
            return mask_band(maps, 2, self.mask_frames, preprocessor.mean)

        return TrainingData(
            preprocessor=preprocessor,
            dataset=TrainingDataset(waveforms, splits.targets(splits.train), recipe.seed, draw),
            augment=BatchAugment(self, len(splits.labels), per_sample),
            normalise=preprocessor.laid_out,
        )

    def preprocessor(self) -> AudioPreprocessor:
        """Raises ValueError for an unknown preset, and for what contradicts one."""
        flags = {
            "sample_rate": self.sample_rate,
            "n_mels": self.mels,
            "hop_length_ms": self.hop_ms,
            "target_frames": self.frames,
        }
        given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
        return AudioPreprocessor(layout=self.layout, **{**FRONT_END, **given, **self._preset(given)})

    def _preset(self, given: Collection[str]) -> dict[str, Any]:
        if self.preset is None:
            return {}
        if self.preset not in PRESETS:
            raise ValueError(f"preset {self.preset!r} is unknown, expected one of {', '.join(PRESETS)}")
        if given:
            flags = ", ".join(FLAGS[name] for name in given)
            raise ValueError(
                f"--preset {self.preset} says how sounds become filter banks, and {flags} would contradict its mean "
                "and deviation: leave out one or the other"
            )
        return PRESETS[self.preset]


def with_measured_statistics(preprocessor: AudioPreprocessor, waveforms: Sequence[Waveform]) -> AudioPreprocessor:
    """With the mean and the deviation of the filter bank over all frames of the recordings."""
    rows = torch.cat([preprocessor.filter_bank(torch.from_numpy(waveform)) for waveform in waveforms])
    return replace(preprocessor, mean=round(rows.mean().item(), 6), std=round(rows.std().item(), 6))
