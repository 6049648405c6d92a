"""Recordings for training: kept as waveforms, augmented anew every time."""

import random
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Waveform = NDArray[np.float32]

LOUDEST_NOISE, SOFTEST_NOISE = 10.0, 40.0  # dB below the recording


@dataclass(frozen=True)
class WaveformAugment:
    """speed: largest relative change of tempo and pitch. shift: largest share by which the recording is rolled in time.
    gain: largest change in dB. noise: share of recordings with white noise under them.
    """

    speed: float
    shift: float
    gain: float
    noise: float

    def __call__(self, waveform: Waveform, rng: random.Random) -> Waveform:
        waveform = resampled(waveform, 1 + rng.uniform(-self.speed, self.speed))
        waveform = np.roll(waveform, round(rng.uniform(-self.shift, self.shift) * len(waveform)))
        waveform = waveform * np.float32(10 ** (rng.uniform(-self.gain, self.gain) / 20))
        return with_noise(waveform, rng) if rng.random() < self.noise else waveform


def resampled(waveform: Waveform, speed: float) -> Waveform:
    """Played `speed` times as fast; linear between samples, which is enough for a disturbance."""
    count = max(2, round(len(waveform) / speed))
    positions = np.linspace(0, len(waveform) - 1, count)
    return np.interp(positions, np.arange(len(waveform)), waveform).astype(np.float32)


def with_noise(waveform: Waveform, rng: random.Random) -> Waveform:
    level = float(waveform.std()) * 10 ** (-rng.uniform(LOUDEST_NOISE, SOFTEST_NOISE) / 20)
    white = np.random.default_rng(rng.getrandbits(64)).standard_normal(len(waveform), np.float32)
    return waveform + np.float32(level) * white


def random_window(waveform: Waveform, samples: int, rng: random.Random) -> Waveform:
    """(samples,), from anywhere in a longer recording; NaN stands behind the end of a shorter one."""
    start = rng.randint(0, max(0, len(waveform) - samples))
    piece = waveform[start : start + samples]
    window = np.full(samples, np.nan, np.float32)
    window[: len(piece)] = piece
    return window


def mask_band(maps: Tensor, axis: int, widest: int, value: float) -> Tensor:
    """SpecAugment (Park et al. 2019): a band of random width and place along the axis set to a value, in every map."""
    size = maps.shape[axis]
    shape = [len(maps)] + [1] * (maps.ndim - 1)
    width = torch.rand(shape, device=maps.device) * min(widest, size)
    start = torch.rand(shape, device=maps.device) * (size - width)
    shape[axis] = size
    place = torch.arange(size, device=maps.device).view([1, *shape[1:]])
    return maps.masked_fill((place >= start) & (place < start + width), value)


def freq_mixstyle(maps: Tensor, share: float, spread: float = 0.3) -> Tensor:
    """Freq-MixStyle (Kim et al. 2022): some recordings sound as if another one's microphone and room had taken them.

    maps: (N, 1, T, F), not normalised. The mean and the deviation over time of every filter are mixed with those of
    another recording of the batch, by a share of Beta(spread, spread). share: of the recordings that are changed.
    """
    mean, deviation = maps.mean(dim=2, keepdim=True), maps.std(dim=2, keepdim=True) + 1e-3
    other = torch.randperm(len(maps), device=maps.device)
    kept = torch.distributions.Beta(spread, spread).sample((len(maps), 1, 1, 1)).to(maps)
    kept = torch.where(torch.rand_like(kept) < share, kept, 1.0)
    scaled = (maps - mean) / deviation * torch.lerp(deviation[other], deviation, kept)
    return scaled + torch.lerp(mean[other], mean, kept)
